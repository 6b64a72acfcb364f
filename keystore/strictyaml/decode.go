package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Decoder reads the nodes of one document. Its methods record what is wrong and continue. A nil node stands for a field
// that is missing, which reads as an empty text or list, or as false.
type Decoder struct {
	// File is the name to use in faults.
	File string
	// Faults is what is wrong in the part of the document that was read.
	Faults Faults
	// Warnings is what is odd but valid, in the same form.
	Warnings []string

	lists map[*yaml.Node]*io.SectionReader // lists in a JSON document, to be read item by item
}

// Fault records that something is wrong at n.
func (d *Decoder) Fault(n *yaml.Node, format string, args ...any) {
	d.Faults = append(d.Faults, Fault{File: d.File, Line: n.Line, Text: fmt.Sprintf(format, args...)})
}

// Warn records that something in the line is odd but valid.
func (d *Decoder) Warn(line int, format string, args ...any) {
	d.Warnings = append(d.Warnings, Fault{File: d.File, Line: line, Text: fmt.Sprintf(format, args...)}.String())
}

// Document returns the one document in data, or nil after a fault.
func (d *Decoder) Document(data []byte) *yaml.Node {
	top := &yaml.Node{Line: 0}
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		d.Fault(top, "the file is empty")
		return nil
	case bytes.IndexByte(data, 0) >= 0:
		d.Fault(top, "the file has NUL bytes: it is not text, or was not written completely")
		return nil
	case !utf8.Valid(data):
		d.Fault(top, "the file is not UTF-8 text")
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	var doc, more yaml.Node
	if err == nil {
		err = loader.Load(&doc)
	}
	if errors.Is(err, io.EOF) {
		d.Fault(top, "the file has only comments")
		return nil
	}
	if err == nil {
		err = loader.Load(&more)
	}
	switch {
	case errors.Is(err, io.EOF):
		return doc.Content[0]
	case err == nil:
		d.Fault(&more, "a second YAML document begins here; the file holds one")
	default:
		d.syntax(err, data)
	}
	return nil
}

// Quote returns a value from a file in quotes, for a message. It shows only the beginning of a long value, which may be a
// secret in the wrong place, or very long. What looks like a UUID, a time or the origin of a web page is shown in full.
func Quote(v string) string {
	const secret, shown = 16, 4
	if len(v) < secret || harmless().MatchString(v) {
		return strconv.Quote(v)
	}
	return strconv.Quote(strings.ToValidUTF8(v[:shown], "") + "…")
}

// harmless matches values that are no secrets. It is compiled when it is first needed, which it seldom is: that takes a
// millisecond.
var harmless = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}[0-9 TZ:.+-]{0,30}|https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?)$`)
})

// long matches a quoted part of the file, in an error of the YAML library, that is long enough to be a secret.
var long = regexp.MustCompile(`(['"` + "`" + `])[^'"` + "`" + `]{16,}['"` + "`" + `]`)

// syntax records an error of the YAML library, with its line if it has one. If the file ended too early, that is the last
// line that is not empty.
func (d *Decoder) syntax(err error, data []byte) {
	line, text := 0, err.Error()
	if at, ok := errors.AsType[*yaml.LoadError](err); ok {
		line, text = at.Mark.Line, at.Message
		if strings.Contains(at.ContextMsg, "flow") || strings.Contains(at.ContextMsg, "quoted") {
			line = at.ContextMark.Line // where the bracket or quote that is not closed was opened
		}
	}
	lines := bytes.Split(bytes.TrimRight(data, "\r\n \t"), []byte("\n"))
	line = min(line, len(lines))
	hint := ""
	if line > 0 {
		hint = hintFor(text, string(lines[line-1]))
	}
	d.Fault(&yaml.Node{Line: line}, "not YAML: %.200s%s", long.ReplaceAllString(text, "$1…$1"), hint)
}

// hintFor returns a hint at the usual mistake behind an error of the YAML library about a line, or nothing.
func hintFor(text, line string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "; the line is indented with a tab, and YAML takes spaces only"
	case strings.Contains(text, "cannot start any token") && strings.ContainsAny(line, "@`"):
		return "; a value that begins with @ or ` must be in quotes"
	case strings.Contains(text, "mapping values are not allowed"):
		return "; is the line indented like its neighbours, and is a value with a colon in quotes?"
	case strings.Contains(text, "did not find expected key"), strings.Contains(text, "did not find expected '-'"):
		return "; is the line, or the one above it, indented like its neighbours?"
	}
	return ""
}

// Mapping calls set with the name and the value of each field of the mapping n; set reports whether it knows the name.
// names are the names it knows; for an unknown one, the fault suggests the closest of them. Mapping reports whether n is
// a mapping.
func (d *Decoder) Mapping(n *yaml.Node, what string, names []string, set func(name string, value *yaml.Node) (known bool)) bool {
	n = Follow(n)
	if n.Kind != yaml.MappingNode {
		d.Fault(n, "%s must be a mapping of fields; this is %s", what, kind(n))
		return false
	}
	seen := make(map[string]int, 8) // lines by name; eight fit on the stack
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], Follow(n.Content[i+1])
		switch first, twice := seen[name.Value]; {
		case twice:
			d.Fault(name, "%s stands here twice, first in line %d", Quote(name.Value), first)
			continue
		case name.Kind != yaml.ScalarNode || !set(name.Value, value):
			d.Fault(name, "%s has no field %s%s", what, Quote(name.Value), DidYouMean(name.Value, names))
		}
		seen[name.Value] = name.Line
	}
	return true
}

// Sequence calls item for each item of the list n.
func (d *Decoder) Sequence(n *yaml.Node, what string, item func(*yaml.Node)) {
	if n == nil {
		return
	}
	if Null(n) {
		d.Fault(n, "%s is empty; leave the line out or list something", what)
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.Fault(n, "%s must be a list; this is %s", what, kind(n))
		return
	}
	if l, ok := d.lists[n]; ok {
		d.items(l, n.Line, item)
		return
	}
	for _, c := range n.Content {
		item(Follow(c))
	}
}

// Text returns the scalar n as it was written. ok reports whether there is one.
func (d *Decoder) Text(n *yaml.Node, what string) (text string, ok bool) {
	if n == nil {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || Null(n) {
		d.Fault(n, "%s must be text; this is %s", what, kind(n))
		return "", false
	}
	return n.Value, true
}

// Bool returns the scalar n, which must be true or false.
func (d *Decoder) Bool(n *yaml.Node, what string) bool {
	if n == nil {
		return false
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false") {
		return n.Value == "true"
	}
	d.Fault(n, "%s must be true or false", what)
	return false
}

// Follow returns the node that an alias stands for. Schemas have a fixed depth, so an alias that contains
// itself leads to a fault, not to a loop.
func Follow(n *yaml.Node) *yaml.Node {
	for i := 0; n.Kind == yaml.AliasNode && n.Alias != nil && i < 8; i++ {
		n = n.Alias
	}
	return n
}

// Null reports whether n is a field without a value.
func Null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return "a single value"
}
