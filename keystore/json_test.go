package keystore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// jsonWriter writes the nodes of a YAML document as JSON, each in its line.
type jsonWriter struct {
	strings.Builder
	line int
	bad  bool // the document has something that JSON cannot express
}

func (w *jsonWriter) node(n *yaml.Node) {
	for ; w.line < n.Line; w.line++ {
		w.WriteByte('\n')
	}
	switch n.Kind {
	case yaml.MappingNode:
		seen := map[string]bool{}
		w.items(n, '{', '}', func(i int) string {
			if i%2 == 1 {
				return ": "
			}
			w.bad = w.bad || seen[n.Content[i].Value] || n.Content[i].Kind != yaml.ScalarNode
			seen[n.Content[i].Value] = true
			w.bad = w.bad || n.Content[i].Tag != "!!str"
			return ", "
		})
	case yaml.SequenceNode:
		w.items(n, '[', ']', func(int) string { return ", " })
	case yaml.ScalarNode:
		switch {
		case n.Tag == "!!null":
			w.WriteString("null")
			w.bad = w.bad || n.Value != "null" // which a message may quote
		case n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false"), n.Tag == "!!int" && json.Valid([]byte(n.Value)):
			w.WriteString(n.Value)
		default:
			text, err := json.Marshal(n.Value)
			w.Write(text)
			w.bad = w.bad || err != nil
		}
	default:
		w.bad = true
	}
}

func (w *jsonWriter) items(n *yaml.Node, begin, end byte, separator func(i int) string) {
	w.WriteByte(begin)
	for i, c := range n.Content {
		if s := separator(i); i > 0 {
			w.WriteString(s)
		}
		w.node(c)
	}
	w.WriteByte(end)
}

// asJSON writes a key file as JSON with everything on the same line as before. ok reports whether that is possible.
func asJSON(data []byte) (text string, ok bool) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil || doc.Kind != yaml.DocumentNode {
		return "", false
	}
	w := jsonWriter{line: 1}
	w.node(doc.Content[0])
	return w.String(), !w.bad
}

// TestParseJSON writes every key file of testdata as JSON, if JSON can express it. It means the same, with the same
// faults and warnings on the same lines.
func TestParseJSON(t *testing.T) {
	n := 0
	testdata(t, "*.yaml", func(t *testing.T, path string, data []byte) {
		want, wantErr := keystore.Parse("keys", data)
		text, ok := asJSON(data)
		if !ok || syntactic.MatchString(fmt.Sprint(wantErr)) {
			return // not JSON; n counts those that are
		}
		n++
		got, err := keystore.Parse("keys.json", []byte(text))
		if diff := cmp.Diff(fmt.Sprint(wantErr), strings.ReplaceAll(fmt.Sprint(err), "keys.json", "keys")); diff != "" {
			t.Fatalf("Parse(%s) as JSON (-YAML +JSON):\n%s", path, diff)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(viewOf(want), viewOf(got)); diff != "" {
			t.Errorf("Parse(%s) as JSON (-YAML +JSON):\n%s", path, diff)
		}
		if diff := cmp.Diff(strings.Join(want.Warnings, "\n"), strings.ReplaceAll(strings.Join(got.Warnings, "\n"), "keys.json", "keys")); diff != "" {
			t.Errorf("warnings of %s as JSON (-YAML +JSON):\n%s", path, diff)
		}
	})
	if n < 25 {
		t.Errorf("%d files of testdata were tried as JSON, want more", n)
	}
}

// TestParseJSONOrder: programs write the fields of an object in any order, most by name.
func TestParseJSONOrder(t *testing.T) {
	fields := map[string]string{
		"version":   `"version": 1`,
		"keys":      `"keys": [{"id": "a", "sha256": "` + digest("a") + `"}, {"sha256": "` + digest("b") + `", "id": "b"}]`,
		"chatflows": `"chatflows": [{"keys": ["b", "a"], "id": "x"}, {"id": "y", "public": true}]`,
	}
	var want view
	for i, order := range []string{"version keys chatflows", "chatflows keys version", "keys version chatflows", "chatflows version keys"} {
		var parts []string
		for name := range strings.FieldsSeq(order) {
			parts = append(parts, fields[name])
		}
		s, err := keystore.Parse("keys.json", []byte("{"+strings.Join(parts, ",\n")+"}"))
		if err != nil {
			t.Fatalf("Parse of %s = %v, want no error", order, err)
		}
		if i == 0 {
			want = viewOf(s)
		}
		if diff := cmp.Diff(want, viewOf(s)); diff != "" {
			t.Errorf("in the order %s it is another snapshot:\n%s", order, diff)
		}
	}
}

// notTheSame matches what YAML and JSON read differently, or what one of them refuses: YAML breaks lines at more
// characters, even in quotes, and has no surrogates.
var notTheSame = regexp.MustCompile("[\r\u0085\u2028\u2029]|\\\\u[dD]")

// syntactic matches the faults that end the reading of a file.
var syntactic = regexp.MustCompile(`: (not YAML|not JSON|the file |a second )|stands here twice`)

// FuzzParseJSON reads JSON as JSON and as YAML. If both accept its syntax, it means the same.
func FuzzParseJSON(f *testing.F) {
	for _, s := range seeds(f) {
		if text, ok := asJSON([]byte(s)); ok {
			f.Add(text)
		}
	}
	f.Add(`{"version": 1, "chatflows": [{"id": "x", "public": true, "name": "\u00fc\n\ud83d\ude00"}]}`)
	f.Add("{\"version\":1,\"chatflows\":[{\"id\":\"x\",\"public\":true},\n[],{}],\"keys\":null}")
	f.Fuzz(func(t *testing.T, data string) {
		s, err := keystore.Parse("f.json", []byte(data))
		fromYAML, errYAML := keystore.Parse("f", []byte(data))
		var faults strictyaml.Faults
		if (s == nil) != errors.As(err, &faults) {
			t.Fatalf("Parse = %v, %v (%T), want a snapshot or faults", s, err, err)
		}
		for _, fault := range faults {
			if lines := strings.Count(data, "\n") + 1; fault.Line < 0 || fault.Line > lines || fault.Text == "" {
				t.Errorf("fault %+v in a file of %d lines", fault, lines)
			}
		}
		if notTheSame.MatchString(data) || syntactic.MatchString(fmt.Sprint(err)) || syntactic.MatchString(fmt.Sprint(errYAML)) {
			return
		}
		if diff := cmp.Diff(fmt.Sprint(errYAML), strings.ReplaceAll(fmt.Sprint(err), "f.json:", "f:")); diff != "" {
			t.Fatalf("faults (-YAML +JSON):\n%s", diff)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(viewOf(fromYAML), viewOf(s)); diff != "" {
			t.Errorf("snapshot (-YAML +JSON):\n%s", diff)
		}
	})
}

// TestLargeJSON reads a key file that is too large to be held in memory: it is read from the disk, and again only when it
// has changed.
func TestLargeJSON(t *testing.T) {
	const n = 12_000
	file := func(keys int) string {
		var b strings.Builder
		b.WriteString("{\"chatflows\": [{\"id\": \"x\", \"keys\": [\"k1\", \"Web\"]}],\n\"flowise_api_keys\": \"api.json\",\n\"keys\": [\n")
		for i := range keys {
			fmt.Fprintf(&b, "{\"id\": \"k%d\", \"sha256\": \"%s\"},\n", i, digest(fmt.Sprint(i)))
		}
		return b.String() + "{\"id\": \"last\", \"secret\": \"" + secret("last") + "\"}],\n\"version\": 1}\n"
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, filepath.Join(filepath.Dir(path), "api.json"), apiJSON("Web "+flowiseA+" "+secretA))
	writeFile(t, path, file(n))
	s, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if keys := s.Snapshot().Keys(); len(keys) != n+2 || keys[n].ID != "last" || keys[n].Line != n+4 || !opens(s, secretA) || !opens(s, secret("1")) {
		t.Errorf("Open = %d keys, %q in line %d, want %d, last in %d, and those of chatflow x to open it", len(keys), keys[n].ID, keys[n].Line, n+2, n+4)
	}
	if r := s.Reload(); r.Result != keystore.Unchanged {
		t.Errorf("Reload of the same file = %s %v, want unchanged", r.Result, r.Err)
	}
	writeFile(t, path, strings.Replace(file(n), `"k7"`, `"k 7"`, 1))
	if r := s.Reload(); r.Result != keystore.Failed || !strings.Contains(fmt.Sprint(r.Err), `keys.json:11: key ID "k 7"`) {
		t.Errorf("Reload of a faulty file = %s %v, want the fault in its line", r.Result, r.Err)
	}
	replaceFile(t, path, file(n-1))
	if r := s.Reload(); r.Result != keystore.Loaded || !cmp.Equal(r.KeysRemoved, []string{fmt.Sprint("k", n-1)}) {
		t.Errorf("Reload without one key = %s %v, removed %q, want that key", r.Result, r.Err, r.KeysRemoved)
	}
}
