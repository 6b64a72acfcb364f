package strictyaml

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

func readJSON(data string) (*Decoder, *yaml.Node) {
	d := &Decoder{File: "f"}
	return d, d.JSON(io.NewSectionReader(strings.NewReader(data), 0, int64(len(data))))
}

// describe writes the content of a node, with the line of each value. It reads lists as a user of Decoder does.
func describe(d *Decoder, n *yaml.Node) string {
	var parts []string
	switch n.Kind {
	case yaml.MappingNode:
		d.Mapping(n, "m", nil, func(name string, value *yaml.Node) bool {
			parts = append(parts, name+": "+describe(d, value))
			return true
		})
		return fmt.Sprintf("%d{%s}", n.Line, strings.Join(parts, ", "))
	case yaml.SequenceNode:
		d.Sequence(n, "l", func(item *yaml.Node) { parts = append(parts, describe(d, item)) })
		return fmt.Sprintf("%d[%s]", n.Line, strings.Join(parts, ", "))
	case yaml.ScalarNode:
		return fmt.Sprintf("%d%s", n.Line, strings.TrimPrefix(n.Tag, "!!")+" "+n.Value)
	}
	return fmt.Sprint("kind ", n.Kind)
}

func TestJSON(t *testing.T) {
	for _, test := range []struct{ data, want string }{
		{`{}`, "1{}"},
		{`{"a": "b"}`, "1{a: 1 b}"},
		{"\n{\n\"a\"\n:\n1.50\n,\"b\":\r\ntrue}", "2{a: 5 1.50, b: 7bool true}"},
		{`{"a": null, "b": "null", "c": "true", "d": false}`, "1{a: 1null null, b: 1 null, c: 1 true, d: 1bool false}"},
		{"{\"a\": [\n1,\n[2,\n{\"b\": [3]}],\n4\n],\n\"c\": {\n\"d\": []}}", "1{a: 1[2 1, 3[3 2, 4{b: 4[4 3]}], 5 4], c: 7{d: 8[]}}"},
		{"{\"a\": [{\"x\": 1},\n{\"x\": 2}],\n\"b\": [3,\n4]}", "1{a: 1[1{x: 1 1}, 2{x: 2 2}], b: 3[3 3, 4 4]}"},
		{`{"\u00e9\n": "\ud83d\ude00\\\/"}`, "1{é\n: 1 😀\\/}"},
		{`[1, [2]]`, "1[1 1, 1[1 2]]"},
		{"\n\n\"x\"", "3 x"},
		{`{"` + strings.Repeat("a", 10_000) + `": ` + strings.Repeat("\n", 10_000) + `1}`, "1{" + strings.Repeat("a", 10_000) + ": 10001 1}"},
	} {
		d, root := readJSON(test.data)
		if root == nil {
			t.Errorf("JSON(%.50q) = nil, %v", test.data, d.Faults)
			continue
		}
		if diff := cmp.Diff(test.want, describe(d, root)); diff != "" || len(d.Faults) > 0 {
			t.Errorf("JSON(%.50q): %v (-want +got):\n%s", test.data, d.Faults, diff)
		}
	}
}

func TestJSONFaults(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"empty", "", "f: the file is empty"},
		{"blank", " \n\t\r\n", "f: the file is empty"},
		{"the mark of UTF-8", "\ufeff{}\n", `f:1: not JSON: invalid character '\ufeff' at start of value`},
		{"not JSON", "{\n\na: 1}", "f:3: not JSON: invalid character 'a' at start of value"},
		{"YAML", "version: 1\n", "f:1: not JSON: invalid character 'v' at start of value"},
		{"cut off", "{\n\"a\": [1,\n2", "f:3: not JSON: unexpected EOF"},
		{"cut off in a string", "{\n\"a\": \"b", "f:2: not JSON: unexpected EOF"},
		{"not written completely", "{}\n\x00\x00", `f:2: not JSON: invalid character '\x00' at start of value`},
		{"a second value", "{}\n{}", "f:2: a second value begins here; the file holds one"},
		{"a comma too many", "{\"a\": [1,\n]}", "f:1: not JSON: invalid character ',' at start of value"},
		{"not UTF-8", "{\"a\":\n\"\xfc\"}", "f:2: not JSON: invalid UTF-8"},
		{"a lone surrogate", `{"a": "\ud800"}`, "f:1: not JSON: invalid surrogate pair `\\ud800\"}` in string"},
		{"a field twice", "{\"a\": 1,\n\"b\": 2,\n\"a\": 3}", `f:3: "a" stands here twice`},
		{"a field twice in a list", "{\"l\": [{\"a\": 1},\n{\"b\": 2,\n\"b\": 3}]}", `f:3: "b" stands here twice`},
		{"a secret for a field, twice", `{"a-secret-of-some-length": 1, "a-secret-of-some-length": 1}`, `f:1: "a-se…" stands here twice`},
		{"too deep", "{\"a\":\n" + strings.Repeat("[", 20_000), "f:2: not JSON: exceeded max depth"},
		{"a number", `{"a": 0x1}`, "f:1: not JSON: invalid character 'x' after object value (expecting ',' or '}')"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, root := readJSON(test.data)
			if root != nil {
				t.Errorf("JSON = %+v, want nil", root)
			}
			if diff := cmp.Diff(test.want, d.Faults.Error()); diff != "" {
				t.Errorf("fault (-want +got):\n%s", diff)
			}
		})
	}
}

// changing is a file that has other content once it has been read to its end.
type changing struct{ *strings.Reader }

func (c *changing) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.Reader.ReadAt(p, at)
	if err == io.EOF || at+int64(n) == c.Size() {
		c.Reader = strings.NewReader("{\n\"a\": [1, x]}")
	}
	return n, err
}

// TestJSONChanges: a list that has changed since it was first read is a fault on its line.
func TestJSONChanges(t *testing.T) {
	file := &changing{strings.NewReader("{\n\"a\": [1, 2]}")}
	d := &Decoder{File: "f"}
	root := d.JSON(io.NewSectionReader(file, 0, file.Size()))
	if root == nil {
		t.Fatalf("JSON = nil, %v", d.Faults)
	}
	if got, want := describe(d, root), "1{a: 2[2 1]}"; got != want || !strings.HasPrefix(d.Faults.Error(), "f:2: not JSON: ") {
		t.Errorf("JSON of a file that changes = %s, %v, want %s and a fault", got, d.Faults, want)
	}
}
