package edit

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore"
)

// editor replaces parts of the text of a document, at the positions of its nodes. It works in steps and parses the
// document again before each, so a step sees what the one before it did.
type editor struct {
	file    string
	json    bool
	before  []byte // the file as it was
	was     fields // what before means; nil before the first step
	data    []byte
	newline string // as the file ends its lines
	lines   []int  // where each line begins in data
	root    *yaml.Node
	spans   map[*yaml.Node]span // in JSON, where each node is
	changes []change
	// elsewhere says that the key in question is in another file of the directory.
	elsewhere bool
	err       error // the first error; no step after it has an effect
}

// change replaces the bytes from at to end with text.
type change struct {
	at, end int
	text    string
}

func newEditor(file string, data []byte) *editor {
	// JSON stays JSON, whatever the file is called, because JSON is YAML as well.
	e := &editor{file: file, json: jsontext.Value(data).IsValid(), before: data, data: data, newline: "\n"}
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		e.newline = "\r\n"
	}
	if !e.json && !bytes.HasSuffix(data, []byte("\n")) {
		e.step(func() {}) // records what the file means: the line break may become part of a text
		e.data = slices.Concat(data, []byte(e.newline))
	}
	return e
}

// step makes the changes that do asks for.
func (e *editor) step(do func()) {
	if e.err != nil {
		return
	}
	e.lines, e.changes = []int{0}, nil
	for i, c := range e.data {
		if c == '\n' {
			e.lines = append(e.lines, i+1)
		}
	}
	if e.json {
		e.readJSON()
	} else {
		e.readYAML()
	}
	if e.err == nil && e.was == nil {
		e.was, _ = valueOf(e.root).(fields)
	}
	if e.err == nil {
		do()
	}
	if e.err == nil {
		e.apply()
	}
}

func (e *editor) readYAML() {
	var doc yaml.Node
	if err := yaml.Unmarshal(e.data, &doc); err != nil || len(doc.Content) != 1 {
		e.fail("it is not YAML any more") // an earlier step has broken it
		return
	}
	e.root = doc.Content[0]
	if e.root.Kind != yaml.MappingNode {
		e.fail("the file is not a mapping of fields")
		return
	}
	if bytes.ContainsAny(bytes.ReplaceAll(e.data, []byte("\r\n"), nil), "\r\u0085\u2028\u2029") { // YAML 1.1 breaks lines at these
		e.fail("it has line breaks that are neither LF nor CRLF")
	}
}

// apply makes the changes of a step.
func (e *editor) apply() {
	slices.SortStableFunc(e.changes, func(a, b change) int { return a.at - b.at })
	var next []byte
	at := 0
	for _, c := range e.changes {
		if c.at < at {
			e.fail("two changes overlap")
			return
		}
		next = append(append(next, e.data[at:c.at]...), c.text...)
		at = c.end
	}
	e.data = append(next, e.data[at:]...)
}

func (e *editor) insert(at int, text string) { e.replace(at, at, text) }

// insertBelow inserts lines below the text of n.
func (e *editor) insertBelow(n *yaml.Node, lines string) { e.insert(e.nextLine(n), lines) }

func (e *editor) replace(at, end int, text string) {
	e.changes = append(e.changes, change{at, end, strings.ReplaceAll(text, "\n", e.newline)})
}

func (e *editor) fail(why string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("%s: cannot be edited without changing its layout (%s); edit it by hand and run `flowlatch check`", e.file, fmt.Sprintf(why, args...))
	}
}

// result returns the text after all steps. change turns what the file meant before into what it should mean now; nothing
// else may differ.
func (e *editor) result(change func(file fields)) ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}
	parse := parseNext
	if e.elsewhere {
		parse = func(file string, _, data []byte) (*keystore.Snapshot, error) { return keystore.ParsePart(file, data) }
	}
	if _, err := parse(e.file, e.before, e.data); err != nil {
		return nil, fmt.Errorf("the file would not be valid any more, so it is left as it is:\n%w", err)
	}
	change(e.was)
	e.step(func() {
		if !reflect.DeepEqual(valueOf(e.root), any(e.was)) {
			e.fail("the change would have touched something else")
		}
	})
	if e.err != nil {
		return nil, e.err
	}
	return e.data, nil
}
