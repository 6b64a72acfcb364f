package edit

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// editor puts pieces of text into a YAML document at places that its nodes tell. It takes one step
// after another, and reads the document again after each, so that a step sees what the last one did.
type editor struct {
	file    string
	data    []byte
	newline string // as the file ends its lines
	lines   []int  // where each line begins in data
	root    *yaml.Node
	pieces  []piece
	err     error // the first; later steps do nothing
}

type piece struct {
	at, end int // the bytes replaced
	text    string
}

func newEditor(file string, data []byte) *editor {
	e := &editor{file: file, data: data, newline: "\n"}
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		e.newline = "\r\n"
	}
	return e
}

// step applies what do inserts.
func (e *editor) step(do func()) {
	if e.err != nil {
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(e.data, &doc); err != nil {
		e.fail("it is not YAML any more") // an earlier step would have broken it
		return
	}
	if e.root = &doc; doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		e.root = doc.Content[0]
	}
	if e.root.Kind != yaml.MappingNode || e.root.Style&yaml.FlowStyle != 0 {
		e.fail("the file is not written as lines of fields")
		return
	}
	e.lines, e.pieces = []int{0}, nil
	for i, c := range e.data {
		switch {
		case c == '\n':
			e.lines = append(e.lines, i+1)
		case c == '\r' && (i+1 == len(e.data) || e.data[i+1] != '\n'):
			e.fail("it has lines that end in a carriage return alone")
			return
		}
	}
	if bytes.ContainsAny(e.data, "\u0085\u2028\u2029") { // which YAML 1.1 takes for ends of lines
		e.fail("it has Unicode line separators")
		return
	}
	do()
	if e.err != nil {
		return
	}
	slices.SortStableFunc(e.pieces, func(a, b piece) int { return a.at - b.at })
	var out []byte
	last := 0
	for _, p := range e.pieces {
		out = append(append(out, e.data[last:p.at]...), p.text...)
		last = p.end
	}
	e.data = append(out, e.data[last:]...)
}

func (e *editor) unable(why string) error {
	return fmt.Errorf("%s: cannot be edited without changing its layout (%s); edit it by hand and run `flowlatch check`", e.file, why)
}

func (e *editor) fail(why string) {
	if e.err == nil {
		e.err = e.unable(why)
	}
}

// result returns what came out of all steps, if what it means is as it should be.
func (e *editor) result(asItShould func(next *keystore.Snapshot) bool) ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}
	next, err := keystore.Parse(e.file, e.data)
	if err != nil {
		return nil, fmt.Errorf("the file would not be valid any more, so it is left as it is:\n%w", err)
	}
	if !asItShould(next) {
		return nil, e.unable("the change would have touched something else")
	}
	return e.data, nil
}

// field returns the name and the value of a mapping's field, or nil.
func field(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

// find returns the entry of the list under name that has the ID.
func (e *editor) find(name, id string) *yaml.Node {
	_, list := field(e.root, name)
	if list == nil {
		return nil
	}
	for _, item := range list.Content {
		if _, v := field(item, "id"); v != nil && strictyaml.Follow(v).Value == id {
			return item
		}
	}
	return nil
}

// must is find for an entry that is there.
func (e *editor) must(name, id string) *yaml.Node {
	entry := e.find(name, id)
	if entry == nil {
		e.fail(fmt.Sprintf("%q stands behind an alias", id))
		return &yaml.Node{Kind: yaml.MappingNode}
	}
	return entry
}

// offset returns where in the data a node begins. Columns count characters, from 1.
func (e *editor) offset(n *yaml.Node) int {
	at := e.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(e.data[at:])
		at += size
	}
	return at
}

// after returns where in the data the text of a scalar ends.
func (e *editor) after(n *yaml.Node) int {
	at := e.offset(n)
	switch {
	case n.Kind != yaml.ScalarNode || n.Anchor != "" || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0:
		e.fail("line " + fmt.Sprint(n.Line) + " is not a plain value")
		return at
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for at++; e.data[at] != '"'; at++ {
			if e.data[at] == '\\' {
				at++
			}
		}
		return at + 1
	case n.Style&yaml.SingleQuotedStyle != 0:
		for at++; e.data[at] != '\'' || at+1 < len(e.data) && e.data[at+1] == '\''; at++ {
			if e.data[at] == '\'' {
				at++
			}
		}
		return at + 1
	}
	return at + len(n.Value)
}

// last returns the last scalar of a node.
func last(n *yaml.Node) *yaml.Node {
	for len(n.Content) > 0 {
		n = n.Content[len(n.Content)-1]
	}
	return n
}

// nextLine returns where the line after the text of n begins. A last line without an end gets one.
func (e *editor) nextLine(n *yaml.Node) (at int, newline string) {
	l := last(n)
	if len(l.Content) == 0 && l.Kind != yaml.ScalarNode { // an empty list or mapping: [] or {}
		at = e.offset(l)
	} else {
		at = e.after(l)
	}
	if i := bytes.IndexByte(e.data[at:], '\n'); i >= 0 {
		return at + i + 1, ""
	}
	return len(e.data), "\n"
}

func (e *editor) insert(at int, text string) { e.replace(at, at, text) }

func (e *editor) replace(at, end int, text string) {
	e.pieces = append(e.pieces, piece{at, end, strings.ReplaceAll(text, "\n", e.newline)})
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// word returns an ID as it is written in YAML: in quotes if it would not be a word without.
func word(id string) string {
	if !strings.ContainsAny(id[:1], alphanumeric) || strings.EqualFold(id, "null") {
		return strconv.Quote(id)
	}
	return id
}

// dashIndent returns what stands before the dash of a list's item.
func (e *editor) dashIndent(item *yaml.Node) (string, bool) {
	first := e.lines[item.Line-1]
	dash := bytes.IndexByte(e.data[first:], '-')
	if dash < 0 || strings.TrimSpace(string(e.data[first:first+dash])) != "" {
		e.fail(fmt.Sprintf("line %d does not begin with a dash", item.Line))
		return "", false
	}
	return string(e.data[first : first+dash]), true
}

// appendItem adds an item, given as its fields, to the list under name.
func (e *editor) appendItem(name string, fields []string) {
	key, list := field(e.root, name)
	indent := "  "
	if list != nil && len(list.Content) > 0 {
		item := list.Content[len(list.Content)-1]
		if list.Style&yaml.FlowStyle != 0 || item.Style&yaml.FlowStyle != 0 && item.Line == list.Line && item.Column == list.Column {
			e.fail(fmt.Sprintf("the list %q in line %d is written in one piece", name, list.Line))
			return
		}
		var ok bool
		if indent, ok = e.dashIndent(item); !ok {
			return
		}
	}
	text := indent + "- " + strings.Join(fields, "\n"+indent+"  ") + "\n"
	switch {
	case list == nil:
		newline := ""
		if n := len(e.data); n > 0 && e.data[n-1] != '\n' {
			newline = "\n"
		}
		e.insert(len(e.data), newline+name+":\n"+text)
	case len(list.Content) > 0:
		at, newline := e.nextLine(list)
		e.insert(at, newline+text)
	case list.Kind == yaml.SequenceNode: // []
		end := e.offset(list) + bytes.IndexByte(e.data[e.offset(list):], ']') + 1
		if list.Line != key.Line || bytes.IndexByte(e.data[e.offset(list):end], '\n') >= 0 {
			e.fail(fmt.Sprintf("the empty list in line %d is not on one line with its name", list.Line))
			return
		}
		e.replace(e.after(key)+1, end, "") // from the colon on
		at, newline := e.nextLine(key)
		e.insert(max(at, end), newline+text)
	default: // nothing
		at, newline := e.nextLine(key)
		e.insert(at, newline+text)
	}
}

// addToList adds an item to the list under name in an entry.
func (e *editor) addToList(entry *yaml.Node, name, item string) {
	_, list := field(entry, name)
	switch {
	case list == nil:
		e.setField(entry, name, "["+item+"]")
	case list.Kind != yaml.SequenceNode || len(list.Content) == 0:
		e.fail(fmt.Sprintf("%q in line %d is not a list with something in it", name, list.Line))
	case list.Style&yaml.FlowStyle != 0:
		e.insert(e.after(last(list)), ", "+item)
	default:
		end := last(list)
		first := e.lines[end.Line-1]
		indent := e.data[first:e.offset(end)] // up to the word, dash included
		if strings.TrimSpace(string(indent)) != "-" {
			e.fail(fmt.Sprintf("line %d has more than a dash and a value", end.Line))
			return
		}
		at, newline := e.nextLine(list)
		e.insert(at, newline+string(indent)+item+"\n")
	}
}

// setField gives a field of an entry a value, in place or on a line of its own.
func (e *editor) setField(entry *yaml.Node, name, value string) {
	if _, v := field(entry, name); v != nil {
		e.replace(e.offset(v), e.after(v), value)
		return
	}
	if entry.Style&yaml.FlowStyle != 0 {
		e.insert(e.after(last(entry)), ", "+name+": "+value)
		return
	}
	if len(entry.Content) == 0 {
		e.fail("an entry is empty")
		return
	}
	_, above := field(entry, "id")
	if above == nil || above.Kind != yaml.ScalarNode {
		above = entry.Content[1]
	}
	at, newline := e.nextLine(above)
	e.insert(at, newline+strings.Repeat(" ", entry.Content[0].Column-1)+name+": "+value+"\n")
}
