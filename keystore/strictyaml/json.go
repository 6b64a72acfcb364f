package strictyaml

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// JSON returns the JSON value in r as the nodes that YAML has for it, or nil after a fault. A list that is a
// field of the value may be long: [Decoder.Sequence] reads it from r again, and the node of an item is valid
// until the next item is read.
func (d *Decoder) JSON(r *io.SectionReader) *yaml.Node {
	const mark = "\ufeff" // as Windows programs put it in front of UTF-8
	begin := make([]byte, len(mark))
	if _, err := r.ReadAt(begin, 0); err == nil && string(begin) == mark {
		r = io.NewSectionReader(r, int64(len(mark)), r.Size()-int64(len(mark)))
	}
	j := newJSONReader(r, 1)
	root, err := j.document(d)
	if errors.Is(err, io.EOF) {
		d.Fault(&yaml.Node{}, "the file is empty")
		return nil
	}
	if err == nil {
		_, err = j.ReadToken()
	}
	switch {
	case errors.Is(err, io.EOF):
		return root
	case err == nil:
		d.Fault(j.here(), "a second value begins here; the file holds one")
	default:
		d.notJSON(j, err)
	}
	return nil
}

// list is a list that was not read yet.
type list struct {
	*io.SectionReader
	n int // items
}

// items calls item for each item of l, which begins in a line.
func (d *Decoder) items(l list, line int, item func(*yaml.Node)) {
	j := newJSONReader(l.SectionReader, line)
	_, err := j.ReadToken() // [
	for err == nil && j.PeekKind() != ']' {
		j.used = 0
		var n *yaml.Node
		if n, err = j.value(); err == nil {
			item(n)
		}
	}
	if err != nil { // JSON found none: the file has changed since then
		d.notJSON(j, err)
	}
}

func (d *Decoder) notJSON(j *jsonReader, err error) {
	var at *jsontext.SyntacticError
	switch {
	case !errors.As(err, &at):
		d.Fault(j.here(), "cannot be read: %v", err)
	case errors.Is(err, jsontext.ErrDuplicateName):
		d.Fault(j.at(at.ByteOffset), "%s stands here twice", Quote(at.JSONPointer.LastToken()))
	default:
		d.Fault(j.at(at.ByteOffset), "not JSON: %v", at.Err)
	}
}

// jsonReader turns JSON into nodes.
type jsonReader struct {
	*jsontext.Decoder
	source *io.SectionReader
	lines  *lineReader
	nodes  []*yaml.Node // to be used again
	used   int
}

func newJSONReader(r *io.SectionReader, line int) *jsonReader {
	lines := &lineReader{r: r, line: line}
	return &jsonReader{Decoder: jsontext.NewDecoder(lines), source: r, lines: lines}
}

// document reads the value up to its end, and notes where in it the lists are.
func (j *jsonReader) document(d *Decoder) (*yaml.Node, error) {
	if j.PeekKind() != '{' {
		return j.value()
	}
	if _, err := j.ReadToken(); err != nil {
		return nil, err
	}
	root := j.node(yaml.MappingNode)
	for j.PeekKind() != '}' {
		name, err := j.value()
		if err != nil {
			return nil, err
		}
		read := j.value
		if j.PeekKind() == '[' {
			read = func() (*yaml.Node, error) { return j.list(d) }
		}
		value, err := read()
		if err != nil {
			return nil, err
		}
		root.Content = append(root.Content, name, value)
	}
	_, err := j.ReadToken()
	return root, err
}

// list goes through a list without making nodes of its items.
func (j *jsonReader) list(d *Decoder) (*yaml.Node, error) {
	if _, err := j.ReadToken(); err != nil {
		return nil, err
	}
	node := j.node(yaml.SequenceNode)
	begin := j.InputOffset() - 1
	n := 0
	for ; j.PeekKind() != ']'; n++ {
		if err := j.SkipValue(); err != nil {
			return nil, err
		}
		j.lines.of(j.InputOffset()) // so that it need not remember all lines of the list
	}
	_, err := j.ReadToken()
	if d.lists == nil {
		d.lists = map[*yaml.Node]list{}
	}
	d.lists[node] = list{io.NewSectionReader(j.source, begin, j.InputOffset()-begin), n}
	return node, err
}

// value reads one value, or the name of a field.
func (j *jsonReader) value() (*yaml.Node, error) {
	t, err := j.ReadToken()
	if err != nil {
		return nil, err
	}
	var n *yaml.Node
	switch kind := t.Kind(); kind {
	case '{', '[':
		n = j.node(yaml.MappingNode)
		if kind == '[' {
			n.Kind = yaml.SequenceNode
		}
		for end := kind + 2; j.PeekKind() != end; { // ASCII has the closing bracket two after the opening one
			c, err := j.value()
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, c)
		}
		_, err = j.ReadToken()
	default:
		n = j.node(yaml.ScalarNode)
		n.Value = t.String()
		switch kind {
		case 'n':
			n.Tag = "!!null"
		case 't', 'f':
			n.Tag = "!!bool"
		}
	}
	return n, err
}

// here is the place of the token that was just read.
func (j *jsonReader) here() *yaml.Node { return j.at(j.InputOffset()) }

func (j *jsonReader) at(offset int64) *yaml.Node { return &yaml.Node{Line: j.lines.of(offset)} }

// node returns a node for the token that was just read.
func (j *jsonReader) node(kind yaml.Kind) *yaml.Node {
	if j.used == len(j.nodes) {
		j.nodes = append(j.nodes, new(yaml.Node))
	}
	n := j.nodes[j.used]
	j.used++
	*n = yaml.Node{Kind: kind, Line: j.lines.of(j.InputOffset()), Content: n.Content[:0]}
	return n
}

// lineReader knows the lines of what is read through it.
type lineReader struct {
	r    io.Reader
	read int64
	line int     // of the last offset that was asked for
	ends []int64 // of the lines from there on
}

func (l *lineReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for at := 0; ; at++ {
		i := bytes.IndexByte(p[at:n], '\n')
		if i < 0 {
			break
		}
		at += i
		l.ends = append(l.ends, l.read+int64(at))
	}
	l.read += int64(n)
	return n, err
}

// of returns the line of an offset. One offset after another must be asked for in ascending order.
func (l *lineReader) of(offset int64) int {
	n := 0
	for n < len(l.ends) && l.ends[n] < offset {
		n++
	}
	l.ends = l.ends[:copy(l.ends, l.ends[n:])]
	l.line += n
	return l.line
}
