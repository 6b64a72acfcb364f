package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// NewKey is a key to add to a key file.
type NewKey struct {
	ID        string
	Digest    Digest
	NotBefore time.Time // zero: none
	NotAfter  time.Time // zero: none
	// Chatflows are the IDs of the chatflows it opens; those not listed yet are added.
	Chatflows []string
}

// validate sees to it that what is put into the text of a file is what it seems: an ID such as
// "a, b" would be two in a list.
func (k *NewKey) validate() error {
	var errs []error
	if err := ValidateID(k.ID); err != nil {
		errs = append(errs, fmt.Errorf("key ID %w", err))
	}
	for _, c := range k.Chatflows {
		if err := ValidateID(c); err != nil && c != EveryChatflow {
			errs = append(errs, fmt.Errorf("chatflow ID %w", err))
		}
	}
	return errors.Join(errs...)
}

// AddKey returns the key file data with one more key. Empty data stands for a file that does not
// exist yet. file is the name to use in errors.
//
// Editing works on the text: what is not changed keeps every byte, comments and layout included.
// The result is read back before it is returned, and must differ in what was asked for alone.
func AddKey(file string, data []byte, k NewKey) ([]byte, error) {
	if err := k.validate(); err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = append(data, "version: 1\n"...)
	} else if old, err := Parse(file, data); err != nil {
		return nil, err
	} else if old.Key(k.ID) != nil {
		return nil, fmt.Errorf("%s: there is a key %q already; choose another ID, or add a secret to it by rotating it", file, k.ID)
	}
	e, err := newEditor(file, data)
	if err != nil {
		return nil, err
	}
	item := []string{"id: " + k.ID, "sha256: " + k.Digest.String()}
	if !k.NotBefore.IsZero() {
		item = append(item, "not_before: "+k.NotBefore.UTC().Format(time.RFC3339))
	}
	if !k.NotAfter.IsZero() {
		item = append(item, "not_after: "+k.NotAfter.UTC().Format(time.RFC3339))
	}
	e.appendItem("keys", item)
	for _, c := range slices.Compact(slices.Sorted(slices.Values(k.Chatflows))) {
		if entry := e.find("chatflows", c); entry != nil {
			e.addToList(entry, "keys", k.ID)
		} else {
			if c == EveryChatflow {
				c = `"*"`
			}
			e.appendItem("chatflows", []string{"id: " + c, "keys: [" + k.ID + "]"})
		}
	}
	return e.result(func(old, next *Snapshot) bool {
		d := diff(old, next)
		key := next.Key(k.ID)
		if !slices.Equal(d.KeysAdded, []string{k.ID}) || len(d.KeysRemoved)+len(d.KeysChanged)+len(d.ChatflowsRemoved) > 0 || key == nil {
			return false
		}
		for _, id := range slices.Concat(d.ChatflowsAdded, d.ChatflowsChanged) {
			if !slices.Contains(k.Chatflows, id) {
				return false
			}
		}
		return key.secrets[0].Digest == k.Digest
	})
}

// DisableKey returns the key file data, nil if there is no file, with the key id turned off. The key stays in the file, so
// that its ID goes on to name it in logs and is not given to somebody else by mistake.
func DisableKey(file string, data []byte, id string) ([]byte, error) {
	if data == nil {
		return nil, readError(file, fs.ErrNotExist)
	}
	old, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	switch k := old.Key(id); {
	case k == nil:
		return nil, fmt.Errorf("%s: there is no key %q; `flowlatch key list` shows those there are", file, id)
	case k.Disabled:
		return nil, fmt.Errorf("%s:%d: key %q is disabled already", file, k.Line, id)
	}
	e, err := newEditor(file, data)
	if err != nil {
		return nil, err
	}
	e.setField(e.find("keys", id), "disabled", "true")
	return e.result(func(old, next *Snapshot) bool {
		d := diff(old, next)
		return slices.Equal(d.KeysChanged, []string{id}) && next.Key(id).Disabled &&
			len(d.KeysAdded)+len(d.KeysRemoved)+len(d.ChatflowsAdded)+len(d.ChatflowsRemoved)+len(d.ChatflowsChanged) == 0
	})
}

// editor puts pieces of text into a YAML document at places that its nodes tell.
type editor struct {
	file   string
	data   []byte
	lines  []int // where each line begins in data
	root   *yaml.Node
	pieces []piece
	err    error
}

type piece struct {
	at, end int // the bytes replaced
	text    string
}

func newEditor(file string, data []byte) (*editor, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	e := &editor{file: file, data: data, root: &doc, lines: []int{0}}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		e.root = doc.Content[0]
	}
	for i, c := range data {
		if c == '\n' {
			e.lines = append(e.lines, i+1)
		}
	}
	if e.root.Kind != yaml.MappingNode || e.root.Style&yaml.FlowStyle != 0 {
		return nil, e.unable("the file is not written as lines of fields")
	}
	return e, nil
}

func (e *editor) unable(why string) error {
	return fmt.Errorf("%s: cannot be edited without changing its layout (%s); edit it by hand and run `flowlatch check`", e.file, why)
}

func (e *editor) fail(why string) {
	if e.err == nil {
		e.err = e.unable(why)
	}
}

// result applies the pieces, and makes sure that what came out differs from what went in as it should.
func (e *editor) result(as func(old, next *Snapshot) bool) ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}
	slices.SortStableFunc(e.pieces, func(a, b piece) int { return a.at - b.at })
	var out []byte
	last := 0
	for _, p := range e.pieces {
		out = append(append(out, e.data[last:p.at]...), p.text...)
		last = p.end
	}
	out = append(out, e.data[last:]...)
	old, _ := Parse(e.file, e.data) // a new file is not valid yet, and compares as an empty one
	next, err := Parse(e.file, out)
	if err != nil {
		return nil, fmt.Errorf("the file would not be valid any more, so it is left as it is:\n%w", err)
	}
	if !as(old, next) {
		return nil, e.unable("the change would have touched something else")
	}
	return out, nil
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
		if _, v := field(item, "id"); v != nil && v.Value == id {
			return item
		}
	}
	return nil
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

func (e *editor) insert(at int, text string) { e.pieces = append(e.pieces, piece{at, at, text}) }

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
		first := e.lines[item.Line-1]
		dash := bytes.IndexByte(e.data[first:], '-')
		if dash < 0 || strings.TrimSpace(string(e.data[first:first+dash])) != "" {
			e.fail(fmt.Sprintf("line %d does not begin with a dash", item.Line))
			return
		}
		indent = string(e.data[first : first+dash])
	}
	text := indent + "- " + strings.Join(fields, "\n"+indent+"  ") + "\n"
	switch {
	case list == nil:
		at, newline := len(e.data), ""
		if at > 0 && e.data[at-1] != '\n' {
			newline = "\n"
		}
		for i := range e.pieces { // this list was begun by an earlier piece
			if strings.HasPrefix(e.pieces[i].text, name+":\n") || strings.Contains(e.pieces[i].text, "\n"+name+":\n") {
				e.pieces[i].text += text
				return
			}
		}
		e.insert(at, newline+name+":\n"+text)
	case len(list.Content) > 0:
		at, newline := e.nextLine(list)
		e.insert(at, newline+text)
	case list.Kind == yaml.SequenceNode: // []
		at := e.offset(list)
		end := at + bytes.IndexByte(e.data[at:], ']') + 1
		e.pieces = append(e.pieces, piece{at, end, ""})
		at, newline := e.nextLine(key)
		e.insert(at, newline+text)
	default: // nothing
		at, newline := e.nextLine(key)
		e.insert(at, newline+text)
	}
}

// addToList adds a word to the list under name in an entry.
func (e *editor) addToList(entry *yaml.Node, name, word string) {
	_, list := field(entry, name)
	switch {
	case list == nil:
		e.setField(entry, name, "["+word+"]")
	case list.Kind != yaml.SequenceNode || len(list.Content) == 0:
		e.fail(fmt.Sprintf("%q in line %d is not a list with something in it", name, list.Line))
	case list.Style&yaml.FlowStyle != 0:
		e.insert(e.after(last(list)), ", "+word)
	default:
		item := last(list)
		first := e.lines[item.Line-1]
		indent := e.data[first:e.offset(item)] // up to the word, dash included
		if strings.TrimSpace(string(indent)) != "-" {
			e.fail(fmt.Sprintf("line %d has more than a dash and a value", item.Line))
			return
		}
		at, newline := e.nextLine(list)
		e.insert(at, newline+string(indent)+word+"\n")
	}
}

// setField gives a field of an entry a value, in place or on a line of its own.
func (e *editor) setField(entry *yaml.Node, name, value string) {
	if _, v := field(entry, name); v != nil {
		e.pieces = append(e.pieces, piece{e.offset(v), e.after(v), value})
		return
	}
	if entry.Style&yaml.FlowStyle != 0 {
		e.insert(e.after(last(entry)), ", "+name+": "+value)
		return
	}
	_, id := field(entry, "id")
	at, newline := e.nextLine(id)
	e.insert(at, newline+strings.Repeat(" ", entry.Content[0].Column-1)+name+": "+value+"\n")
}
