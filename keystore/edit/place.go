package edit

import (
	"bytes"
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

// entry returns the entry with this ID of the list under name, which has one.
func (e *editor) entry(name, id string) *yaml.Node {
	if _, list := field(e.root, name); list != nil {
		for _, item := range list.Content {
			if _, v := field(item, "id"); v != nil && strictyaml.Follow(v).Value == id {
				return item
			}
		}
	}
	e.fail("%q is behind an alias", id)
	return &yaml.Node{Kind: yaml.MappingNode}
}

// begin returns where in the data a node begins. Columns count characters, from 1.
func (e *editor) begin(n *yaml.Node) int {
	at := e.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(e.data[at:])
		at += size
	}
	return at
}

// end returns where in the data the text of a scalar ends.
func (e *editor) end(n *yaml.Node) int {
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

// last returns the last scalar of a node.
func last(n *yaml.Node) *yaml.Node {
	for len(n.Content) > 0 {
		n = n.Content[len(n.Content)-1]
	}
	return n
}

// nextLine returns where the line after the text of n begins.
func (e *editor) nextLine(n *yaml.Node) int {
	l := last(n)
	at := e.begin(l) // of [] or {}
	if l.Kind == yaml.ScalarNode {
		at = e.end(l)
	}
	return at + bytes.IndexByte(e.data[at:], '\n') + 1
}

// dashIndent returns what stands before the dash of a list's item.
func (e *editor) dashIndent(item *yaml.Node) string {
	indent, _, found := bytes.Cut(e.data[e.lines[item.Line-1]:], []byte("-"))
	if !found || strings.Trim(string(indent), " ") != "" {
		e.fail("line %d does not begin with a dash", item.Line)
		return ""
	}
	return string(indent)
}
