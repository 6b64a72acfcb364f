package edit

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// word returns an ID as it is written in YAML: in quotes if it would not be text without.
func word(id string) string {
	if strings.ContainsAny(id[:1], "*@~.-_") || strings.EqualFold(id, "null") {
		return strconv.Quote(id)
	}
	return id
}

// appendItem adds an item, given as its fields, to the list under name.
func (e *editor) appendItem(name string, fields []string) {
	key, list := field(e.root, name)
	indent := "  "
	if list != nil && len(list.Content) > 0 {
		item := list.Content[len(list.Content)-1]
		if list.Style&yaml.FlowStyle != 0 || item.Style&yaml.FlowStyle != 0 && item.Line == list.Line && item.Column == list.Column {
			e.fail("the list %q in line %d is written in one piece", name, list.Line)
			return
		}
		indent = e.dashIndent(item)
	}
	text := indent + "- " + strings.Join(fields, "\n"+indent+"  ") + "\n"
	switch {
	case list == nil:
		e.insert(len(e.data), name+":\n"+text)
	case len(list.Content) > 0:
		e.insertBelow(list, text)
	case list.Kind == yaml.SequenceNode: // []
		begin := e.begin(list)
		end := begin + bytes.IndexByte(e.data[begin:], ']') + 1
		if list.Line != key.Line || bytes.IndexByte(e.data[begin:end], '\n') >= 0 {
			e.fail("the empty list in line %d is not on one line with its name", list.Line)
			return
		}
		e.replace(e.end(key)+1, end, "") // from the colon on
		fallthrough
	default: // nothing
		e.insertBelow(key, text)
	}
}

// addToList adds an item to the list under name in an entry.
func (e *editor) addToList(entry *yaml.Node, name, item string) {
	_, list := field(entry, name)
	switch {
	case list == nil:
		e.setField(entry, name, "["+item+"]")
	case list.Kind != yaml.SequenceNode || len(list.Content) == 0:
		e.fail("%q in line %d is not a list with something in it", name, list.Line)
	case list.Style&yaml.FlowStyle != 0:
		e.insert(e.end(last(list)), ", "+item)
	default:
		end := last(list)
		indent := string(e.data[e.lines[end.Line-1]:e.begin(end)]) // up to the word, dash included
		if strings.TrimSpace(indent) != "-" {
			e.fail("line %d has more than a dash and a value", end.Line)
			return
		}
		e.insertBelow(list, indent+item+"\n")
	}
}

// setField gives a field of an entry a value, in place or on a line of its own.
func (e *editor) setField(entry *yaml.Node, name, value string) {
	_, old := field(entry, name)
	switch {
	case old != nil:
		e.replace(e.begin(old), e.end(old), value)
	case len(entry.Content) == 0:
		e.fail("an entry is empty")
	case entry.Style&yaml.FlowStyle != 0:
		e.insert(e.end(last(entry)), ", "+name+": "+value)
	default:
		_, above := field(entry, "id")
		if above == nil || above.Kind != yaml.ScalarNode {
			above = entry.Content[1]
		}
		e.insertBelow(above, strings.Repeat(" ", entry.Content[0].Column-1)+name+": "+value+"\n")
	}
}
