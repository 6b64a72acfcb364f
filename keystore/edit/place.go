package edit

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// field returns the name and the value of a mapping's field, or nil.
func field(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

// entry returns the entry with this ID in the list under name, which must have one.
func (e *editor) entry(name, id string) *yaml.Node {
	if list, i := e.find(name, id); i >= 0 {
		return list.Content[i]
	}
	return &yaml.Node{Kind: yaml.MappingNode}
}

// find returns the list under name, and the index of the entry with this ID in it. If there is none, the edit fails and
// the index is negative.
func (e *editor) find(name, id string) (list *yaml.Node, i int) {
	if _, list = field(e.root, name); list != nil {
		i = slices.IndexFunc(list.Content, func(item *yaml.Node) bool { return idOf(item) == id })
		if i >= 0 {
			return list, i
		}
	}
	e.fail("%q is behind an alias", id)
	return nil, -1
}

// idOf returns the ID of an entry.
func idOf(entry *yaml.Node) string {
	if _, v := field(entry, "id"); v != nil {
		return strictyaml.Follow(v).Value
	}
	return ""
}

// begin returns where in the data a node begins. Columns count characters, from 1.
func (e *editor) begin(n *yaml.Node) int {
	if s, ok := e.spans[n]; ok {
		return s.begin
	}
	at := e.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(e.data[at:])
		at += size
	}
	return at
}

// end returns where in the data the text of a scalar, or of a list or mapping in brackets, ends.
func (e *editor) end(n *yaml.Node) int {
	if s, ok := e.spans[n]; ok {
		return s.end
	}
	if inBrackets(n) {
		return e.closing(n) + 1
	}
	at := e.begin(n)
	switch {
	case n.Kind != yaml.ScalarNode || n.Anchor != "" || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0:
		e.fail("line %d is not a plain value", n.Line)
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

// inBrackets reports whether n is a list or a mapping that is written in brackets.
func inBrackets(n *yaml.Node) bool {
	return n.Style&yaml.FlowStyle != 0 && (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode)
}

// closing returns the position of the bracket that closes a list or mapping.
func (e *editor) closing(n *yaml.Node) int {
	at := e.begin(n) + 1
	if len(n.Content) > 0 {
		at = e.end(n.Content[len(n.Content)-1])
	}
	for comment := false; at < len(e.data); at++ {
		switch c := e.data[at]; {
		case comment, c == '#':
			comment = c != '\n'
		case c == ']' || c == '}':
			return at
		case bytes.IndexByte([]byte(" \t\r\n,"), c) < 0:
			e.fail("the brackets in line %d end in an odd way", n.Line)
			return at
		}
	}
	e.fail("the brackets in line %d do not end", n.Line)
	return 0
}

// nextLine returns where the line after the text of n begins.
func (e *editor) nextLine(n *yaml.Node) int {
	for len(n.Content) > 0 && !inBrackets(n) {
		n = n.Content[len(n.Content)-1]
	}
	at := e.begin(n) // for an alias
	if n.Kind != yaml.AliasNode {
		at = e.end(n)
	}
	return at + bytes.IndexByte(e.data[min(at, len(e.data)):], '\n') + 1
}

// dashIndent returns the indentation before the dash of a list item. The edit fails if there is anything else.
func (e *editor) dashIndent(item *yaml.Node) string {
	indent, _, found := bytes.Cut(e.data[e.lines[item.Line-1]:], []byte("-"))
	if !found || strings.Trim(string(indent), " ") != "" {
		e.fail("line %d does not begin with a dash", item.Line)
		return ""
	}
	return string(indent)
}
