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
	keys      plainList
	chatflows plainList
}

// plainList is the lines of one list of the file.
type plainList struct {
	data []byte
	line int // of the first
}

// readPlain returns the document in data if all of it is plain and it has at least the size from.
func readPlain(data []byte, from int) (*plainDocument, bool) {
	if len(data) < from {
		return nil, false
	}
	d := plainDocument{root: &yaml.Node{Kind: yaml.MappingNode}}
	var current *plainList
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
		switch name, value, _, ok := plainField(text); {
		case blank:
		case text[0] != ' ' && ok && name == "version" && value != nil && d.version == nil && current == nil:
			value.Line, d.version = line, value
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
			item, ok := plainLine(text)
			if !ok || !item.first && items == 0 {
				return nil, false
			}
			if item.first {
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

// each calls do with every item of the list, as the node that YAML makes of it.
func (l *plainList) each(do func(item *yaml.Node)) {
	var item *yaml.Node
	line := l.line
	for at := 0; at < len(l.data); line++ {
		text, next := nextLine(l.data, at)
		at = next
		if blank, _ := isBlank(text); blank {
			continue
		}
		f, _ := plainLine(text)
		if f.first {
			if item != nil {
				do(item)
			}
			item = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: line, Column: 5}
		}
		name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: f.name, Line: line, Column: 5}
		setLine(f.value, line)
		item.Content = append(item.Content, name, f.value)
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

// plainItem is one line of a list: a field of an item, the first one behind a dash.
type plainItem struct {
	first bool
	name  string
	value *yaml.Node
}

// plainLine reads "  - name: value" or "    name: value".
func plainLine(text []byte) (plainItem, bool) {
	if len(text) < 5 || string(text[:2]) != "  " || string(text[2:4]) != "- " && string(text[2:4]) != "  " {
		return plainItem{}, false
	}
	name, value, list, ok := plainField(text[4:])
	if !ok {
		return plainItem{}, false
	}
	if value == nil {
		value = list
	}
	return plainItem{first: text[2] == '-', name: name, value: value}, true
}

// plainField reads "name: value" or "name: [value, value]".
func plainField(text []byte) (name string, value, list *yaml.Node, ok bool) {
	i := bytes.Index(text, []byte(": "))
	if i < 1 {
		return "", nil, nil, false
	}
	for _, c := range text[:i] {
		if (c < 'a' || c > 'z') && c != '_' && (c < '0' || c > '9') {
			return "", nil, nil, false
		}
	}
	name, rest := string(text[:i]), text[i+2:]
	if text[0] >= '0' && text[0] <= '9' || plainTag(name) != "!!str" {
		return "", nil, nil, false
	}
	if len(rest) < 3 || rest[0] != '[' || rest[len(rest)-1] != ']' {
		value = plainScalar(rest)
		return name, value, nil, value != nil
	}
	list = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for word := range bytes.SplitSeq(rest[1:len(rest)-1], []byte(", ")) {
		n := plainScalar(word)
		if n == nil {
			return "", nil, nil, false
		}
		list.Content = append(list.Content, n)
	}
	return name, nil, list, true
}

// plainScalar returns the node of a word, or nil if it is not plain. A quoted word may have the
// characters of one that is not, and a star.
func plainScalar(text []byte) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	if len(text) > 2 && text[0] == '"' && text[len(text)-1] == '"' {
		n.Style, n.Tag = yaml.DoubleQuotedStyle, "!!str"
		if text = text[1 : len(text)-1]; string(text) == EveryChatflow {
			n.Value = EveryChatflow
			return n
		}
	}
	// What follows a letter or a digit cannot begin anything in YAML, but for a colon at the end.
	if len(text) == 0 || wordBytes[text[0]] != letter || text[len(text)-1] == ':' {
		return nil
	}
	for _, c := range text {
		if wordBytes[c] == 0 {
			return nil
		}
	}
	n.Value = string(text)
	if n.Tag == "" {
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
