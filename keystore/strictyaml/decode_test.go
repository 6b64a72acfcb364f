package strictyaml

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// document reads data, which must be one document.
func document(t *testing.T, data string) (*Decoder, *yaml.Node) {
	t.Helper()
	d := &Decoder{File: "f"}
	n := d.Document([]byte(data))
	if n == nil {
		t.Fatalf("Document(%q) = nil, %v", data, d.Faults)
	}
	return d, n
}

func TestDocument(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"empty", "", "f: the file is empty"},
		{"blank", " \n\t\r\n", "f: the file is empty"},
		{"comments", "# a\n\n  # b", "f: the file has only comments"},
		{"NUL", "a: 1\n\x00", "f: the file has NUL bytes: it is not text, or was not written completely"},
		{"not UTF-8", "a: \xe9\n", "f: the file is not UTF-8 text"},
		{"two documents", "a: 1\n---\nb: 2\n", "f:2: a second YAML document begins here; the file holds one"},
		{"a second one after an end mark", "a: 1\n...\n\nb: 2\n", "f:4: a second YAML document begins here; the file holds one"},
		{"nothing, then a document", "---\n---\na: 1\n", "f:2: a second YAML document begins here; the file holds one"},
		{"a faulty second one", "a: 1\n---\nb: [\n", "f:3: not YAML: did not find expected node content"},
		{"an open quote", "a: 1\nb: 'x\nc: 2\n\n", "f:2: not YAML: found unexpected end of stream"},
		{"an open quote at the end", "a: 1\nb: 'x", "f:2: not YAML: found unexpected end of stream"},
		{"an open bracket", "a: 1\nb: [1,\n  2\n\n", "f:2: not YAML: did not find expected ',' or ']'"},
		{"an open bracket at the end", "a: 1\nb: [\n", "f:2: not YAML: did not find expected node content"},
		{"an open brace", "a: {b: 1\nc: 2\n", "f:1: not YAML: did not find expected ',' or '}'"},
		{"a tab", "a:\n\tb: 1\n", "f:2: not YAML: found character that cannot start any token; the line is indented with a tab, and YAML takes spaces only"},
		{"an unknown anchor", "a: 1\nb: *c\n", "f:2: not YAML: unknown anchor 'c' referenced"},
		{"a merge of nothing", "a: 1\n<<: *c\n", "f:2: not YAML: unknown anchor 'c' referenced"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := Decoder{File: "f"}
			n := d.Document([]byte(test.data))
			if n != nil {
				t.Errorf("Document = %+v, want nil", n)
			}
			if diff := cmp.Diff(test.want, d.Faults.Error()); diff != "" {
				t.Errorf("fault (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDocumentGood(t *testing.T) {
	for data, want := range map[string]yaml.Kind{
		"a: 1":                        yaml.MappingNode,
		"\ufeffa: 1\r\n":              yaml.MappingNode,
		"%YAML 1.1\n---\na: 1\n...":   yaml.MappingNode,
		"- a":                         yaml.SequenceNode,
		"a":                           yaml.ScalarNode,
		"--- # nothing\n":             yaml.ScalarNode,
		"---\n# nothing but a word\n": yaml.ScalarNode,
		"a: 1\n...\n# after the end":  yaml.MappingNode,
	} {
		if d, n := document(t, data); n.Kind != want || len(d.Faults) > 0 {
			t.Errorf("Document(%q) = kind %v, %v, want kind %v", data, n.Kind, d.Faults, want)
		}
	}
}

// read returns what f makes of the last value in data, or the faults that it finds.
func read(t *testing.T, data string, f func(d *Decoder, n *yaml.Node) string) string {
	t.Helper()
	d, root := document(t, data)
	got := f(d, Follow(root.Content[len(root.Content)-1]))
	if len(d.Faults) > 0 {
		return d.Faults.Error()
	}
	return got
}

func asText(d *Decoder, n *yaml.Node) string { s, _ := d.Text(n, "v"); return s }

func asBool(d *Decoder, n *yaml.Node) string { return fmt.Sprint(d.Bool(n, "v")) }

func asList(d *Decoder, n *yaml.Node) string {
	var items []string
	d.Sequence(n, "v", func(item *yaml.Node) { items = append(items, item.Value) })
	return strings.Join(items, " ")
}

func asMapping(d *Decoder, n *yaml.Node) string {
	var fields []string
	d.Mapping(n, "v", nil, func(name string, value *yaml.Node) bool { fields = append(fields, name+"="+value.Value); return true })
	return strings.Join(fields, " ")
}

// TestValues reads each value with each method, both directly and by an alias.
func TestValues(t *testing.T) {
	const (
		notText, notBool = "f:1: v must be text; this is ", "f:1: v must be true or false"
		notList, notMap  = "f:1: v must be a list; this is ", "f:1: v must be a mapping of fields; this is "
		single, nothing  = "a single value", "f:1: v is empty; leave the line out or list something"
	)
	for value, want := range map[string][4]string{ // as text, truth, list, mapping
		"word":       {"word", notBool, notList + single, notMap + single},
		"true":       {"true", "true", notList + single, notMap + single},
		"false":      {"false", "false", notList + single, notMap + single},
		`"true"`:     {"true", notBool, notList + single, notMap + single},
		"!!str true": {"true", notBool, notList + single, notMap + single},
		"True":       {"True", notBool, notList + single, notMap + single},
		"yes":        {"yes", notBool, notList + single, notMap + single},
		"1":          {"1", notBool, notList + single, notMap + single},
		"0x1F":       {"0x1F", notBool, notList + single, notMap + single},
		"2026-01-01": {"2026-01-01", notBool, notList + single, notMap + single},
		`""`:         {"", notBool, notList + single, notMap + single},
		`"null"`:     {"null", notBool, notList + single, notMap + single},
		"null":       {notText + "nothing", notBool, nothing, notMap + "nothing"},
		"~":          {notText + "nothing", notBool, nothing, notMap + "nothing"},
		"":           {notText + "nothing", notBool, nothing, notMap + "nothing"},
		"[a, 1, x]":  {notText + "a list", notBool, "a 1 x", notMap + "a list"},
		"[]":         {notText + "a list", notBool, "", notMap + "a list"},
		"{a: 1}":     {notText + "a mapping", notBool, notList + "a mapping", "a=1"},
		"{}":         {notText + "a mapping", notBool, notList + "a mapping", ""},
	} {
		for _, data := range []string{"v: " + value, "v: &x " + value + "\nw: *x"} {
			got := [4]string{read(t, data, asText), read(t, data, asBool), read(t, data, asList), read(t, data, asMapping)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", data, diff)
			}
		}
	}
}

func TestMapping(t *testing.T) {
	const many = "k: 1, l: 1, m: 1, n: 1, o: 1, p: 1, q: 1, r: 1, s: 1, t: 1, u: 1, v: 1, w: 1, x: 1, y: 1, z: 1, "
	for _, test := range []struct{ name, data, fields, faults string }{
		{"in the order of the file", "b: 2\na: 1\n", "b=2 a=1", ""},
		{"twice", "a: 1\nb: 2\na: 3\n", "a=1 b=2", `f:3: "a" stands here twice, first in line 1`},
		{"twice in quotes", "a: 1\n\"a\": 2\n'a': 3\n", "a=1", "f:2: \"a\" stands here twice, first in line 1\nf:3: \"a\" stands here twice, first in line 1"},
		{"twice among many", "{" + many + "a: 1,\nk: 2}", "a=1", `f:2: "k" stands here twice, first in line 1`},
		{"unknown", "a: 1\nother: 2\n", "a=1", `f:2: m has no field "other"`},
		{"unknown twice", "other: 1\nother: 2\n", "", "f:1: m has no field \"other\"\nf:2: \"other\" stands here twice, first in line 1"},
		{"a merge", "a: &m {b: 1}\n<<: *m\n", "a=", `f:2: m has no field "<<"`},
		{"an alias for a name", "a: &b b\n*b : 1\n", "a=b", `f:2: m has no field "b"`},
		{"a list for a name", "? [a]\n: 1\n", "", `f:1: m has no field ""`},
		{"a name that may be a secret", "a: 1\nsecret:0123456789abcdef: 2\n", "a=1", `f:2: m has no field "secr…"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, root := document(t, test.data)
			var fields []string
			ok := d.Mapping(root, "m", nil, func(name string, value *yaml.Node) bool {
				if name != "a" && name != "b" {
					return strings.Contains(many, name+": ")
				}
				fields = append(fields, name+"="+value.Value)
				return true
			})
			if diff := cmp.Diff([]any{true, test.fields, test.faults}, []any{ok, strings.Join(fields, " "), d.Faults.Error()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An alias of itself ends in a fault.
func TestFollowEnds(t *testing.T) {
	n := &yaml.Node{Kind: yaml.AliasNode}
	n.Alias = n
	if got := Follow(n); got.Kind != yaml.AliasNode {
		t.Errorf("Follow of an alias of itself = kind %v", got.Kind)
	}
	d := Decoder{File: "f"}
	if d.Mapping(n, "m", nil, func(string, *yaml.Node) bool { return true }) || len(d.Faults) != 1 {
		t.Errorf("Mapping of an alias of itself = %v, want a fault", d.Faults)
	}
	if _, ok := d.Text(n, "t"); ok {
		t.Error("Text of an alias of itself is text")
	}
}

// TestQuote: a value that may be a secret is not shown, and one that helps to find the place is.
func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      `""`,
		"short":                                 `"short"`,
		"15 characters..":                       `"15 characters.."`,
		"16 characters...":                      `"16 c…"`,
		"fl_0123456789012345678901234567890123": `"fl_0…"`,
		"a\nb\u202ec":                           `"a\nb\u202ec"`,
		"3f1c2a9e-1111-4222-8333-444455556666":  `"3f1c2a9e-1111-4222-8333-444455556666"`,
		"3F1C2A9E-1111-4222-8333-444455556666":  `"3F1C2A9E-1111-4222-8333-444455556666"`,
		"3f1c2a9e-1111-4222-8333-44445555666g":  `"3f1c…"`,
		"2027-01-31T00:00:00.123456789+01:00":   `"2027-01-31T00:00:00.123456789+01:00"`,
		"2027-01-31T00:00:00Zsecret":            `"2027…"`,
		"https://www.example.com:8443":          `"https://www.example.com:8443"`,
		"https://fl_0123456789@www.example.com": `"http…"`,
		"https://www.example.com/0123456789abc": `"http…"`,
		"üüüüüüüüüüüüüüüü":                      `"üü…"`,
		"aüüüüüüüüüüüüüüü":                      `"aü…"`,
		strings.Repeat("2027-01-31T", 20):       `"2027…"`,
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestFaults(t *testing.T) {
	d := Decoder{File: "keys.yaml"}
	d.Fault(&yaml.Node{Line: 3}, "three of %d%%", 100)
	d.Fault(&yaml.Node{}, "the whole")
	d.Fault(&yaml.Node{Line: 3}, "three again")
	d.Fault(&yaml.Node{Line: 2}, "two")
	d.Warn(7, "odd %s", "thing")
	d.Faults.Sort()
	const want = "keys.yaml: the whole\nkeys.yaml:2: two\nkeys.yaml:3: three of 100%\nkeys.yaml:3: three again"
	if diff := cmp.Diff(want, d.Faults.Error()); diff != "" {
		t.Errorf("Error() (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"keys.yaml:7: odd thing"}, d.Warnings); diff != "" {
		t.Errorf("Warnings (-want +got):\n%s", diff)
	}
	var faults Faults
	if err := fmt.Errorf("reading: %w", d.Faults); !errors.As(err, &faults) || len(faults) != 4 {
		t.Errorf("the faults cannot be had back from %v", err)
	}
}

// FuzzDocument: the result is either a document or a fault, never both or neither.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{"", "a: 1", "# a", "---\n---\n", "a: &b [*b]", "a: 'x", "\ufeff", "[{", "%YAML 1.1\n---\na", "<<: *a", "a: |+\n  b\n\n", "? a\n: b", "!!x y", "\x00", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := Decoder{File: "f"}
		n := d.Document(data)
		if (n == nil) == (len(d.Faults) == 0) {
			t.Fatalf("Document(%q) = %v, %v, want one of them", data, n, d.Faults)
		}
		for _, fault := range d.Faults {
			if len(fault.Text) > 1000 || fault.Line < 0 || fault.Text == "" {
				t.Errorf("Document(%q): fault %+v", data, fault)
			}
		}
		if n == nil {
			return
		}
		for _, as := range []func(*Decoder, *yaml.Node) string{asText, asBool, asList, asMapping} {
			as(&Decoder{File: "f"}, Follow(n))
		}
	})
}
