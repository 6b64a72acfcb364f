package strictyaml

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// JSON returns the JSON document in r as nodes of YAML, or nil after a fault. Lists that are fields of the document may
// be long, so they are not kept: [Decoder.Sequence] reads them from r again, and the node of an item is valid only until
// the next item is read.
func (d *Decoder) JSON(r *io.SectionReader) *yaml.Node {
	j := newJSONReader(r, 1)
	d.lists = map[*yaml.Node]*io.SectionReader{}
	root := j.document(d.lists)
	isEmpty := errors.Is(j.err, io.EOF)
	j.token()
	switch {
	case isEmpty:
		d.Fault(&yaml.Node{}, "the file is empty")
	case j.err == nil:
		d.Fault(&yaml.Node{Line: j.lineOf(j.InputOffset())}, "a second value begins here; the file holds one")
	case errors.Is(j.err, io.EOF):
		return root
	default:
		d.notJSON(j)
	}
	return nil
}

// items calls item for each item of list, which begins in the given line.
func (d *Decoder) items(list *io.SectionReader, line int, item func(*yaml.Node)) {
	j := newJSONReader(list, line)
	j.token() // [
	for j.more(']') {
		j.used = 0
		if n := j.value(); j.err == nil {
			item(n)
		}
	}
	if j.err != nil { // JSON found nothing wrong: the file has changed since then
		d.notJSON(j)
	}
}

// notJSON records the error of j.
func (d *Decoder) notJSON(j *jsonReader) {
	at, ok := errors.AsType[*jsontext.SyntacticError](j.err)
	if !ok {
		d.Fault(&yaml.Node{}, "cannot be read: %v", j.err)
		return
	}
	n := &yaml.Node{Line: j.lineOf(at.ByteOffset)}
	if errors.Is(j.err, jsontext.ErrDuplicateName) {
		d.Fault(n, "%s stands here twice", Quote(at.JSONPointer.LastToken()))
		return
	}
	d.Fault(n, "not JSON: %v", at.Err)
}

// jsonReader turns JSON into nodes, until the first error.
type jsonReader struct {
	*jsontext.Decoder
	source *io.SectionReader
	err    error

	nodes []*yaml.Node // reused for each item of a list
	used  int

	read int64   // bytes of the source
	line int     // of the offset that lineOf was last called with
	ends []int64 // offsets of the line breaks after it
}

func newJSONReader(r *io.SectionReader, line int) *jsonReader {
	j := &jsonReader{source: r, line: line}
	j.Decoder = jsontext.NewDecoder(j)
	return j
}

// Read reads from the source, and notes where lines end.
func (j *jsonReader) Read(p []byte) (int, error) {
	n, err := j.source.Read(p)
	for at := 0; ; at++ {
		i := bytes.IndexByte(p[at:n], '\n')
		if i < 0 {
			break
		}
		at += i
		j.ends = append(j.ends, j.read+int64(at))
	}
	j.read += int64(n)
	return n, err
}

// lineOf returns the line of an offset, which must not be less than that of the call before.
func (j *jsonReader) lineOf(offset int64) int {
	n := 0
	for n < len(j.ends) && j.ends[n] < offset {
		n++
	}
	j.ends = j.ends[:copy(j.ends, j.ends[n:])]
	j.line += n
	return j.line
}

func (j *jsonReader) token() (t jsontext.Token) {
	if j.err == nil {
		t, j.err = j.ReadToken()
	}
	return t
}

func (j *jsonReader) more(end jsontext.Kind) bool { return j.err == nil && j.PeekKind() != end }

// document reads a whole value. It adds to lists the lists that are fields of the value.
func (j *jsonReader) document(lists map[*yaml.Node]*io.SectionReader) *yaml.Node {
	if j.PeekKind() != '{' {
		return j.value()
	}
	j.token()
	root := j.node(yaml.MappingNode)
	for j.more('}') {
		name := j.value()
		value := j.value
		if j.PeekKind() == '[' {
			value = func() *yaml.Node { return j.list(lists) }
		}
		root.Content = append(root.Content, name, value())
	}
	j.token()
	return root
}

// list reads a list without making nodes of its items.
func (j *jsonReader) list(lists map[*yaml.Node]*io.SectionReader) *yaml.Node {
	j.token()
	node := j.node(yaml.SequenceNode)
	begin := j.InputOffset() - 1
	for j.more(']') {
		j.err = j.SkipValue()
		j.lineOf(j.InputOffset()) // so that ends does not grow
	}
	j.token()
	lists[node] = io.NewSectionReader(j.source, begin, j.InputOffset()-begin)
	return node
}

// value reads a value, or the name of a field.
func (j *jsonReader) value() *yaml.Node {
	t := j.token()
	kind := t.Kind()
	switch kind {
	case '{', '[':
		n := j.node(yaml.MappingNode)
		if kind == '[' {
			n.Kind = yaml.SequenceNode
		}
		for end := kind + 2; j.more(end); { // in ASCII a closing bracket is two after its opening one
			n.Content = append(n.Content, j.value())
		}
		j.token()
		return n
	}
	n := j.node(yaml.ScalarNode)
	switch kind {
	case 'n':
		n.Tag = "!!null"
	case 't', 'f':
		n.Tag = "!!bool"
	}
	if j.err == nil {
		n.Value = t.String()
	}
	return n
}

// node returns a node for the token that was just read.
func (j *jsonReader) node(kind yaml.Kind) *yaml.Node {
	if j.used == len(j.nodes) {
		j.nodes = append(j.nodes, new(yaml.Node))
	}
	n := j.nodes[j.used]
	j.used++
	*n = yaml.Node{Kind: kind, Line: j.lineOf(j.InputOffset()), Content: n.Content[:0]}
	return n
}
