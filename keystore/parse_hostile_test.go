package keystore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

const minimal = "version: 1\nchatflows: [{id: x, public: true}]\n"

// byteFiles are files that cannot be kept as text in testdata, and what Parse says about them.
func byteFiles() []struct{ name, data, want string } {
	return []struct{ name, data, want string }{
		{"empty", "", "f: the file is empty"},
		{"white space", " \r\n\t\n", "f: the file is empty"},
		{"NUL", "version: 1\nchatflows: [{id: x\x00, public: true}]\n", "f: the file has NUL bytes: it is not text, or was not written completely"},
		{"not written completely", minimal + strings.Repeat("\x00", 512), "f: the file has NUL bytes: it is not text, or was not written completely"},
		{"UTF-16", "\xff\xfev\x00e\x00r\x00", "f: the file has NUL bytes: it is not text, or was not written completely"},
		{"Latin-1", "version: 1\nchatflows: [{id: x, name: \xfc, public: true}]\n", "f: the file is not UTF-8 text"},
		{"cut in a character", minimal + "# \xc3", "f: the file is not UTF-8 text"},
		{"surrogate", minimal + "# \xed\xa0\x80", "f: the file is not UTF-8 text"},
		{"mark of UTF-8 alone", "\ufeff", "f: the file has only comments"},
		{"mark of UTF-8", "\ufeff" + minimal, ""},
		{"Windows lines", strings.ReplaceAll(minimal, "\n", "\r\n"), ""},
		{"no end of line", strings.TrimSpace(minimal), ""},
		{"end mark", minimal + "...\n# And a word after it.\n", ""},
		{"lists nested deeply", "version: 1\nkeys: " + strings.Repeat("[", 50_000), "f:2: not YAML: exceeded max depth of 10000"},
		{"mappings nested deeply", "version: 1\nkeys: " + strings.Repeat("{a: ", 50_000), "f:2: not YAML: exceeded max depth of 10000"},
		{
			"lists nested in the schema", "version: 1\nkeys: [" + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "]\n",
			"f:2: a key must be a mapping of fields; this is a list",
		},
	}
}

func TestParseBytes(t *testing.T) {
	for _, test := range byteFiles() {
		t.Run(test.name, func(t *testing.T) {
			s, err := keystore.Parse("f", []byte(test.data))
			if test.want == "" {
				if err != nil || s.Chatflows()[0].ID != "x" {
					t.Errorf("Parse = %v, %v, want chatflow x", s, err)
				}
				return
			}
			if s != nil {
				t.Errorf("Parse gave a snapshot and %v", err)
			}
			if diff := cmp.Diff(test.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("fault (-want +got):\n%s", diff)
			}
			var faults strictyaml.Faults
			if !errors.As(err, &faults) {
				t.Errorf("Parse = %T, want strictyaml.Faults", err)
			}
		})
	}
}

// A wrong value may be long, but a message about it goes into a log line.
func TestParseHugeScalars(t *testing.T) {
	huge := strings.Repeat("A", 1<<16)
	for _, field := range []string{
		"version: %s",
		"%s: 1",
		"keys: %s",
		"keys: [{id: %s}]",
		"keys: [{%s: x}]",
		"keys: [{id: a, sha256: %s}]",
		"keys: [{id: a, secret: %s@}]",
		"keys: [{id: a, not_after: %s}]",
		"keys: [{id: a, disabled: %s}]",
		"chatflows: [{id: %s}]",
		"chatflows: [{id: x, keys: [%s]}]",
		"chatflows: [{id: x, upstream_authorization: %s}]",
		"chatflows: [{id: x, upstream_authorization: file:%s}]",
		"keys: *%s",
	} {
		_, err := keystore.Parse("f", fmt.Appendf(nil, field, huge))
		if err == nil {
			t.Errorf("Parse(%q) = no error", field)
			continue
		}
		if got := len(err.Error()); got > 2000 {
			t.Errorf("Parse(%q): an error of %d bytes, want at most 2000", field, got)
		}
	}
}

// Aliases are followed where they are used, and not expanded, so a small file cannot become a large snapshot.
func TestParseAliasesAreNotExpanded(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\nkeys:\n- &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := range 40 {
		fmt.Fprintf(&b, "- &a%d [*a%d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d]\n", i+1, i)
	}
	_, err := keystore.Parse("f", []byte(b.String()))
	if got, want := strings.Count(fmt.Sprint(err), "\n")+1, 41; got != want {
		t.Errorf("Parse = %d faults, want one for each of the %d items", got, want)
	}
}

// BenchmarkParse shows that the time is proportional to the number of keys, however they are listed.
func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		var keys, list strings.Builder
		for i := range n {
			fmt.Fprintf(&keys, "- {id: k%d, sha256: %s}\n", i, digest(fmt.Sprint(i)))
			fmt.Fprintf(&list, "  - k%d\n", i)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := []byte("version: 1\nkeys:\n" + keys.String() + "chatflows:\n- id: x\n  keys:\n" + list.String())
			for b.Loop() {
				if _, err := keystore.Parse("f", data); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/key")
		})
	}
}
