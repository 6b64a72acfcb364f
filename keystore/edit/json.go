package edit

import (
	"bytes"
	"sort"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// span is where a node is in the data: from its first byte to just after its last.
type span struct{ begin, end int }

// readJSON reads the data as YAML nodes in brackets, a notation that YAML shares with JSON, and records where each one
// is.
func (e *editor) readJSON() {
	r := jsonReader{Decoder: jsontext.NewDecoder(bytes.NewReader(e.data)), editor: e}
	e.spans = map[*yaml.Node]span{}
	if e.root = r.value(); r.err != nil || e.root.Kind != yaml.MappingNode {
		e.fail("it is not an object of JSON any more") // an earlier step has broken it
	}
}

type jsonReader struct {
	*jsontext.Decoder
	editor *editor
	err    error
}

// value reads a value, or the name of a field.
func (r *jsonReader) value() *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	var begin int
	switch kind := r.PeekKind(); kind {
	case '{', '[':
		n.Kind, n.Style = yaml.MappingNode, yaml.FlowStyle
		if kind == '[' {
			n.Kind = yaml.SequenceNode
		}
		r.token()
		begin = int(r.InputOffset()) - 1
		for r.err == nil && r.PeekKind() != kind+2 { // in ASCII a closing bracket is two after its opening one
			n.Content = append(n.Content, r.value())
		}
		r.token()
	default:
		var raw jsontext.Value
		if r.err == nil {
			raw, r.err = r.ReadValue()
		}
		begin = int(r.InputOffset()) - len(raw)
		if n.Value = string(raw); kind == '"' && r.err == nil {
			text, err := jsontext.AppendUnquote(nil, raw)
			n.Value, n.Style, r.err = string(text), yaml.DoubleQuotedStyle, err
		}
	}
	n.Line = sort.SearchInts(r.editor.lines, begin+1)
	r.editor.spans[n] = span{begin, int(r.InputOffset())}
	return n
}

func (r *jsonReader) token() {
	if r.err == nil {
		_, r.err = r.ReadToken()
	}
}
