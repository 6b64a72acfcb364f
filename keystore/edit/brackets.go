package edit

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"
)

// appendInBrackets is appendItem for a list, or a whole file, that is written in brackets, as JSON is. list is nil if
// there is none.
func (e *editor) appendInBrackets(name string, list *yaml.Node, fields []string) {
	switch {
	case list == nil:
		gap, item := e.gap(e.root), e.inBraces(nil, fields)
		if strings.Contains(gap, "\n") {
			item = gap + "  " + item + gap
		}
		e.appendTo(e.root, e.field(name, "["+item+"]"))
	case list.Kind == yaml.ScalarNode: // null
		e.replace(e.begin(list), e.end(list), "["+e.inBraces(nil, fields)+"]")
	case !inBrackets(list):
		e.fail("%q in line %d is not a list", name, list.Line)
	case len(list.Content) == 0:
		e.appendTo(list, e.inBraces(nil, fields))
	default:
		e.appendTo(list, e.inBraces(list.Content[len(list.Content)-1], fields))
	}
}

// appendTo adds an item to a list, or a field to a mapping, that is written in brackets.
func (e *editor) appendTo(n *yaml.Node, text string) {
	if len(n.Content) == 0 {
		e.insert(e.begin(n)+1, text)
		return
	}
	e.insert(e.end(n.Content[len(n.Content)-1]), ","+e.gap(n)+text)
}

// inBraces returns fields as a mapping in braces. In JSON it is laid out like the mapping like, unless that is nil.
func (e *editor) inBraces(like *yaml.Node, fields []string) string {
	begin, gap, end := "", " ", ""
	if e.json && like != nil && like.Kind == yaml.MappingNode && len(like.Content) > 0 {
		begin = e.blank(e.begin(like)+1, e.begin(like.Content[0]))
		gap = e.gap(like)
		end = e.blank(e.end(like.Content[len(like.Content)-1]), e.closing(like))
	}
	return "{" + begin + strings.Join(fields, ","+gap) + end + "}"
}

// gap returns what separates the items of n besides the comma: a space, or in JSON the white space before the last one.
func (e *editor) gap(n *yaml.Node) string {
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	i := len(n.Content) - step
	if !e.json || i < 0 {
		return " "
	}
	if i > 0 {
		return e.blank(e.end(n.Content[i-1]), e.begin(n.Content[i]))
	}
	if alone := e.blank(e.begin(n)+1, e.begin(n.Content[i])); alone != "" {
		return alone
	}
	return " "
}

// blank returns the white space in a part of the data, with LF for CRLF and without a comma. If it has several lines,
// only the last one is returned.
func (e *editor) blank(begin, end int) string {
	text := strings.NewReplacer("\r", "", ",", "").Replace(string(e.data[begin:end]))
	return text[max(0, strings.LastIndexByte(text, '\n')):]
}

// cutFromBrackets removes n nodes, beginning with the i-th, and a comma from a list or mapping in brackets. They are
// items of a list, or the name and the value of a field.
func (e *editor) cutFromBrackets(of *yaml.Node, i, n int) {
	nodes := of.Content
	begin, end := e.begin(nodes[i]), e.end(nodes[i+n-1])
	switch {
	case i > 0:
		begin = e.end(nodes[i-1])
	case n < len(nodes):
		end = e.begin(nodes[n])
	}
	if !e.json && bytes.IndexByte(e.data[begin:max(begin, end)], '\n') >= 0 && bytes.IndexByte(e.data[begin:end], '#') >= 0 {
		e.fail("a comment stands between the brackets in line %d", of.Line)
		return
	}
	e.replace(begin, end, "")
}
