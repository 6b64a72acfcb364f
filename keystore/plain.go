package keystore

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A file of a million keys takes the YAML library many seconds and gigabytes, most of them for nodes that
// are looked at once. Such a file comes from a program and is written in the
// plainest way. So a large file of which every line is one of a few forms is read line by line, an
// item at a time, into the nodes that the library would have made; if one line is anything else, the
// library reads the whole file. Both go through the same checks.

// plainFrom is the size from which a file is tried, in bytes.
const plainFrom = 1 << 20

// plainDocument is a key file written in the plainest way:
//
//	version: 1
//	keys:
//	  - id: acme-web
//	    sha256: 5e88…
//	chatflows:
//	  - id: "*"
//	    keys: [acme-web, batch]
//
// with comments and empty lines anywhere. Values are words without blanks, on the line of their name.
type plainDocument struct {
	root      *yaml.Node // where the document begins
	version   *yaml.Node
	keys      plainItems
	chatflows plainItems
}

// plainItems is the lines of one list of the file.
type plainItems struct {
	data []byte
	line int // of the first
}

// readPlain returns the document in data if all of it is plain and it has at least the size from.
func readPlain(data []byte, from int) (*plainDocument, bool) {
	if len(data) < from {
		return nil, false
	}
	d := plainDocument{root: &yaml.Node{Kind: yaml.MappingNode}}
	var current *plainItems
	begin, line, items := 0, 0, 0
	for at := 0; at < len(data); {
		text, next := nextLine(data, at)
		line++
		blank, ok := isBlank(text)
		if !ok {
			return nil, false
		}
		if !blank && d.root.Line == 0 {
			d.root.Line = line
		}
		switch version, isVersion := bytes.CutPrefix(text, []byte("version: ")); {
		case blank:
		case isVersion && d.version == nil && current == nil:
			if d.version = new(plainNodes).scalar(version); d.version == nil {
				return nil, false
			}
			d.version.Line = line
		case text[0] != ' ' && (string(text) == "keys:" || string(text) == "chatflows:"):
			list := &d.keys
			if string(text) == "chatflows:" {
				list = &d.chatflows
			}
			if list.line != 0 || current != nil && items == 0 {
				return nil, false
			}
			if current != nil {
				current.data = data[begin:at]
			}
			current, begin, items = list, next, 0
			list.line = line + 1
		case current == nil:
			return nil, false
		default:
			first, ok := isPlainLine(text)
			if !ok || !first && items == 0 {
				return nil, false
			}
			if first {
				items++
			}
		}
		at = next
	}
	if d.version == nil || current == nil || items == 0 {
		return nil, false
	}
	current.data = data[begin:]
	return &d, true
}

// each calls do with every item of the list, as the node that YAML makes of it. Nodes are used again for
// the next item, so do must not keep any.
func (l *plainItems) each(do func(item *yaml.Node)) {
	var nodes plainNodes
	var item *yaml.Node
	line := l.line
	for at := 0; at < len(l.data); line++ {
		text, next := nextLine(l.data, at)
		at = next
		if blank, _ := isBlank(text); blank {
			continue
		}
		if text[2] == '-' {
			if item != nil {
				do(item)
			}
			nodes.used = 0
			item = nodes.next()
			item.Kind, item.Tag, item.Line, item.Column = yaml.MappingNode, "!!map", line, 5
		}
		name, value := nodes.item(text)
		name.Line, name.Column = line, 5
		setLine(value, line)
		item.Content = append(item.Content, name, value)
	}
	if item != nil {
		do(item)
	}
}

func setLine(n *yaml.Node, line int) {
	n.Line = line
	for _, c := range n.Content {
		c.Line = line
	}
}

// isPlainLine reports whether a line is "  - name: value" or "    name: value", where a value is a word
// or a list of words, and whether it is the first of an item.
func isPlainLine(text []byte) (first, ok bool) {
	if len(text) < 5 || string(text[:2]) != "  " || string(text[2:4]) != "- " && string(text[2:4]) != "  " {
		return false, false
	}
	name, value, found := bytes.Cut(text[4:], []byte(": "))
	if !found || len(name) == 0 || name[0] >= '0' && name[0] <= '9' || plainTag(string(name)) != "!!str" {
		return false, false
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && c != '_' && (c < '0' || c > '9') {
			return false, false
		}
	}
	words, isList := plainList(value)
	if !isList {
		return text[2] == '-', isPlainWord(value)
	}
	for word := range bytes.SplitSeq(words, []byte(", ")) {
		if !isPlainWord(word) {
			return false, false
		}
	}
	return text[2] == '-', true
}

// plainList returns what is between the brackets of a list.
func plainList(value []byte) (words []byte, ok bool) {
	if len(value) < 3 || value[0] != '[' || value[len(value)-1] != ']' {
		return nil, false
	}
	return value[1 : len(value)-1], true
}

// plainNodes are nodes that can be used again.
type plainNodes struct {
	list []*yaml.Node
	used int
}

// next returns a node with nothing in it.
func (p *plainNodes) next() *yaml.Node {
	if p.used == len(p.list) {
		p.list = append(p.list, new(yaml.Node))
	}
	n := p.list[p.used]
	p.used++
	*n = yaml.Node{Content: n.Content[:0]}
	return n
}

// item returns the name and the value of a plain line.
func (p *plainNodes) item(text []byte) (name, value *yaml.Node) {
	n, v, _ := bytes.Cut(text[4:], []byte(": "))
	name = p.next()
	name.Kind, name.Tag, name.Value = yaml.ScalarNode, "!!str", string(n)
	words, isList := plainList(v)
	if !isList {
		return name, p.scalar(v)
	}
	value = p.next()
	value.Kind, value.Tag, value.Style = yaml.SequenceNode, "!!seq", yaml.FlowStyle
	for word := range bytes.SplitSeq(words, []byte(", ")) {
		value.Content = append(value.Content, p.scalar(word))
	}
	return name, value
}

// isPlainWord reports whether text is a word that is plain, or one in quotes, which may be a star.
func isPlainWord(text []byte) bool {
	if text = unquoted(text); string(text) == EveryChatflow {
		return true
	}
	// What follows a letter or a digit cannot begin anything in YAML, but for a colon at the end.
	if len(text) == 0 || wordBytes[text[0]] != letter || text[len(text)-1] == ':' {
		return false
	}
	for _, c := range text {
		if wordBytes[c] == 0 {
			return false
		}
	}
	return true
}

// unquoted returns what is between the quotes, if there are any. A star without quotes is no word, and
// comes back as nothing.
func unquoted(text []byte) []byte {
	if len(text) > 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	if string(text) == EveryChatflow {
		return nil
	}
	return text
}

// scalar returns the node of a word, or nil if it is not plain.
func (p *plainNodes) scalar(text []byte) *yaml.Node {
	if !isPlainWord(text) {
		return nil
	}
	n := p.next()
	n.Kind, n.Value = yaml.ScalarNode, string(unquoted(text))
	if text[0] == '"' {
		n.Style, n.Tag = yaml.DoubleQuotedStyle, "!!str"
	} else {
		n.Tag = plainTag(n.Value)
	}
	return n
}

// wordBytes are the characters of a plain word.
var wordBytes = func() (t [256]byte) {
	for c := range 256 {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			t[c] = letter
		case strings.IndexByte("._~@:+-", byte(c)) >= 0:
			t[c] = letter + 1
		}
	}
	return t
}()

const letter = 1

// plainTag returns the tag of a word as far as the checks ask for it.
func plainTag(s string) string {
	switch s {
	case "null", "Null", "NULL":
		return "!!null"
	case "true", "false":
		return "!!bool"
	}
	return "!!str"
}

// isBlank reports whether a line is empty or a comment. It is not plain if the comment has other
// characters than ASCII has for print.
func isBlank(text []byte) (blank, plain bool) {
	text = bytes.TrimLeft(text, " ")
	if len(text) == 0 {
		return true, true
	}
	if text[0] != '#' {
		return false, true
	}
	for _, c := range text {
		if c < ' ' || c > '~' {
			return true, false
		}
	}
	return true, true
}

// nextLine returns the line that begins at at, and where the next one begins.
func nextLine(data []byte, at int) (text []byte, next int) {
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
		return data[at : at+i], at + i + 1
	}
	return data[at:], len(data)
}
