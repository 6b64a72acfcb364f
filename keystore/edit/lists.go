package edit

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"
)

// appendItems adds items, each given as its fields, to the list under name.
func (e *editor) appendItems(name string, items [][]newField) {
	if len(items) == 0 {
		return
	}
	e.step(func() { e.appendItem(name, e.write(items[0])) }) // a step of its own, since there may be no list yet
	if len(items) > 1 {
		e.step(func() {
			for _, item := range items[1:] {
				e.appendItem(name, e.write(item))
			}
		})
	}
}

// appendItem adds an item to the list under name.
func (e *editor) appendItem(name string, fields []string) {
	key, list := field(e.root, name)
	if inBrackets(e.root) || list != nil && inBrackets(list) && len(list.Content) > 0 {
		e.appendInBrackets(name, list, fields)
		return
	}
	indent := "  "
	if list != nil && len(list.Content) > 0 {
		item := list.Content[len(list.Content)-1]
		if inBrackets(item) && item.Line == list.Line && item.Column == list.Column {
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
		begin, end := e.begin(list), e.end(list)
		if list.Line != key.Line || bytes.IndexByte(e.data[begin:end], '\n') >= 0 {
			e.fail("the empty list in line %d is not on one line with its name", list.Line)
			return
		}
		e.replace(e.end(key)+1, end, "") // all after the colon
		fallthrough
	default: // no value
		e.insertBelow(key, text)
	}
}

// addToList adds an item to the list under name in an entry.
func (e *editor) addToList(entry *yaml.Node, name, item string) {
	_, list := field(entry, name)
	switch {
	case list == nil:
		e.setField(entry, name, "["+item+"]")
	case inBrackets(list):
		e.appendTo(list, item)
	case list.Kind != yaml.SequenceNode || len(list.Content) == 0:
		e.fail("%q in line %d is not a list with something in it", name, list.Line)
	default:
		end := list.Content[len(list.Content)-1]
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
	case inBrackets(entry):
		e.appendTo(entry, e.field(name, value))
	default:
		_, above := field(entry, "id")
		if above == nil || above.Kind != yaml.ScalarNode {
			above = entry.Content[1]
		}
		e.insertBelow(above, strings.Repeat(" ", entry.Content[0].Column-1)+e.field(name, value)+"\n")
	}
}

// removeItem removes item i of list, which is the value of the field key. Comments on lines of their own stay.
func (e *editor) removeItem(key, list *yaml.Node, i int) {
	item := list.Content[i]
	if inBrackets(list) {
		e.cutFromBrackets(list, i, 1)
		return
	}
	e.dashIndent(item) // fails if something else stands in the line
	e.removeLines(e.lines[item.Line-1], e.nextLine(item))
	if len(list.Content) == 1 {
		e.insert(e.end(key)+1, " []") // after the colon
	}
}

// removeField removes the field name of an entry if it is in brackets, or alone on its line without a comment. Otherwise
// it gives it another value.
func (e *editor) removeField(entry *yaml.Node, name, otherwise string) {
	for i := 0; i+1 < len(entry.Content); i += 2 {
		key, value := entry.Content[i], entry.Content[i+1]
		if key.Value != name {
			continue
		}
		if inBrackets(entry) {
			e.cutFromBrackets(entry, i, 2)
			return
		}
		begin, end := e.lines[key.Line-1], e.nextLine(value)
		if e.end(value)-e.begin(key) == len(bytes.TrimSpace(e.data[begin:end])) {
			e.replace(begin, end, "")
			return
		}
		e.replace(e.begin(value), e.end(value), otherwise)
	}
}

// removeLines removes the lines from begin to end, which are both beginnings of lines, except for lines that are
// comments.
func (e *editor) removeLines(begin, end int) {
	for line := range bytes.Lines(e.data[begin:max(begin, end)]) {
		if !bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("#")) {
			e.replace(begin, begin+len(line), "")
		}
		begin += len(line)
	}
}
