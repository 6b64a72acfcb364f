package keystore_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// hush is part of every secret in testdata, so that a message with it contains a secret. The first four characters of a
// value may be shown.
var hush = regexp.MustCompile("hush.?hush")

// want is what a file of testdata expects: a line, and part of the text that belongs to it.
type want struct {
	line int
	text string
}

var wantLine = regexp.MustCompile(`^# want: (\d+): (.+)$`)

// wantsOf reads the first lines of data.
func wantsOf(t *testing.T, data []byte) []want {
	t.Helper()
	var wants []want
	for line := range bytes.Lines(data) {
		m := wantLine.FindSubmatch(bytes.TrimRight(line, "\r\n"))
		if m == nil {
			break
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		wants = append(wants, want{n, string(m[2])})
	}
	return wants
}

// diffWants compares messages, each "place: text" with the place "file" or "file:line", with wants. A message and a want
// that match are written the same way, and so cancel out in the diff.
func diffWants(file string, wants []want, messages []string) string {
	expected := []string{}
	left := append([]string{}, messages...)
	for _, w := range wants {
		place := file + ": "
		if w.line > 0 {
			place = fmt.Sprintf("%s:%d: ", file, w.line)
		}
		i := slices.IndexFunc(left, func(m string) bool {
			text, ok := strings.CutPrefix(m, place)
			return ok && strings.Contains(text, w.text)
		})
		if i < 0 {
			expected = append(expected, place+"… "+w.text)
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	return cmp.Diff(expected, left)
}

func messages(t *testing.T, err error) []string {
	t.Helper()
	var faults strictyaml.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("Parse = %v (%T), want strictyaml.Faults", err, err)
	}
	if !slices.IsSortedFunc(faults, func(a, b strictyaml.Fault) int { return a.Line - b.Line }) {
		t.Errorf("faults out of order:\n%v", faults)
	}
	var list []string
	for _, f := range faults {
		list = append(list, f.String())
	}
	if got, want := err.Error(), strings.Join(list, "\n"); got != want {
		t.Errorf("Error() = %q, want a line for each fault, %q", got, want)
	}
	return list
}

func testdata(t *testing.T, pattern string, f func(t *testing.T, path string, data []byte)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("Glob(%q) = %d files, %v", pattern, len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f(t, path, data)
		})
	}
}

func TestParseBad(t *testing.T) {
	testdata(t, "*.bad.yaml", func(t *testing.T, _ string, data []byte) {
		wants := wantsOf(t, data)
		if len(wants) == 0 {
			t.Fatal("no line `# want: …`")
		}
		s, err := keystore.Parse("keys.yaml", data)
		if s != nil || err == nil {
			t.Fatalf("Parse = %v, %v, want no snapshot and an error", s, err)
		}
		if diff := diffWants("keys.yaml", wants, messages(t, err)); diff != "" {
			t.Errorf("faults (-want +got):\n%s", diff)
		}
		if hush.MatchString(err.Error()) {
			t.Errorf("a secret stands in the faults:\n%v", err)
		}
	})
}

func TestParseGood(t *testing.T) {
	testdata(t, "*.good.yaml", func(t *testing.T, path string, data []byte) {
		s, err := keystore.Parse("keys.yaml", data)
		if err != nil {
			t.Fatalf("Parse = %v, want no error", err)
		}
		if diff := diffWants("keys.yaml", wantsOf(t, data), s.Warnings); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
		if hush.MatchString(strings.Join(s.Warnings, "\n")) {
			t.Errorf("a secret stands in the warnings:\n%q", s.Warnings)
		}
		golden := strings.TrimSuffix(path, ".good.yaml") + ".golden"
		got := render(viewOf(s))
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("Parse is not what %s says (-want +got):\n%s", golden, diff)
		}
		if diff := cmp.Diff(viewOf(s), viewOf(mustParse(t, got))); diff != "" {
			t.Errorf("written plainly it is another snapshot (-want +got):\n%s", diff)
		}
	})
}
