package edit_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

var update = flag.Bool("update", false, "rewrite the scripts")

// script is one file of testdata. Lines of its comment that begin with "> " say which edits are made to the file
// "before", whose result is "after" or "error".
type script struct {
	archive               *txtar.Archive
	before, after, failed []byte
	edit                  func(data []byte) ([]byte, error)
	check                 func(t *testing.T, before, after []byte)
}

func parseScript(t *testing.T, data []byte) script {
	t.Helper()
	s := script{archive: txtar.Parse(data)}
	for _, f := range s.archive.Files {
		switch f.Name {
		case "before":
			s.before = f.Data
		case "after":
			s.after = f.Data
		case "error":
			s.failed = bytes.TrimSpace(f.Data)
		default:
			t.Fatalf("unknown part %q", f.Name)
		}
	}
	for line := range strings.Lines(string(s.archive.Comment)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "> ")
		if !ok {
			continue
		}
		switch words := strings.Fields(command); {
		case command == "the last line has no end":
			s.before = bytes.TrimSuffix(s.before, []byte("\n"))
		case command == "lines end in CRLF":
			s.before = bytes.ReplaceAll(s.before, []byte("\n"), []byte("\r\n"))
			s.after = bytes.ReplaceAll(s.after, []byte("\n"), []byte("\r\n"))
		case words[0] == "add" && len(words) > 1:
			k := newKey(t, words[1:])
			s.edit = func(data []byte) ([]byte, error) { return edit.AddKey(fileOf(data), data, k) }
			s.check = func(t *testing.T, before, after []byte) { t.Helper(); checkAdded(t, before, after, k) }
		case words[0] == "disable" && len(words) == 2:
			s.edit = func(data []byte) ([]byte, error) { return edit.DisableKey(fileOf(data), data, words[1]) }
			s.check = func(t *testing.T, before, after []byte) { t.Helper(); checkDisabled(t, before, after, words[1]) }
		case len(words) > 1 && edits[words[0]].edit != nil:
			e := edits[words[0]]
			s.edit = func(data []byte) ([]byte, error) { return e.edit(fileOf(data), data, words[1], words[2:]) }
			s.check = func(t *testing.T, before, after []byte) {
				t.Helper()
				e.check(t, before, after, words[1], words[2:])
			}
		default:
			t.Fatalf("unknown command %q", command)
		}
	}
	if s.edit == nil {
		t.Fatal("nothing is done: no line `> add …` or the like")
	}
	return s
}

func newKey(t *testing.T, words []string) edit.NewKey {
	t.Helper()
	k := edit.NewKey{ID: words[0], Digest: keystore.DigestOf(secret("new"))}
	for _, w := range words[1:] {
		switch name, value, _ := strings.Cut(w, "="); name {
		case "not_before":
			k.NotBefore = at(t, value)
		case "not_after":
			k.NotAfter = at(t, value)
		default:
			k.Chatflows = append(k.Chatflows, w)
		}
	}
	return k
}

func TestEdit(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("Glob = %d files, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) { testScript(t, path) })
	}
}

func testScript(t *testing.T, path string) {
	t.Helper()
	s := parseScript(t, []byte(contentOf(t, path)))
	input := bytes.Clone(s.before)
	got, err := s.edit(input)
	if !bytes.Equal(input, s.before) {
		t.Errorf("the data passed in was changed:\n%s", input)
	}
	if s.failed != nil {
		if got != nil || err == nil || !strings.Contains(err.Error(), string(s.failed)) {
			t.Errorf("got %q and error %v, want nothing and %q", got, err, s.failed)
		}
		return
	}
	if err != nil {
		t.Fatalf("error %v, want none, of\n%s", err, s.before)
	}
	s.check(t, s.before, got)
	if *update {
		s.rewrite(t, path, got)
		return
	}
	if diff := cmp.Diff(string(s.after), string(got)); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
}

// rewrite makes got the part "after" of the script.
func (s script) rewrite(t *testing.T, path string, got []byte) {
	t.Helper()
	got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))
	a := *s.archive
	a.Files = []txtar.File{a.Files[0], {Name: "after", Data: got}}
	if err := os.WriteFile(path, txtar.Format(&a), 0o600); err != nil {
		t.Fatal(err)
	}
}

// YAML knows line breaks that a text editor does not, so the lines of the nodes are not those of the file. Whatever the
// edit does, it must not panic, or return a file that was not meant.
func TestEditOddLineBreaks(t *testing.T) {
	plain := "version: 1\nkeys:\n  - id: a\n    sha256: " + digest("a") + "\nchatflows:\n  - id: x\n    keys: [a]\n"
	for _, test := range []struct{ name, data string }{
		{"carriage returns", strings.ReplaceAll(plain, "\n", "\r")},
		{"one carriage return", "# a\r# b\n" + plain},
		{"carriage return at the end", plain + "# end\r"},
		{"next line", "# a\u0085# b\n" + plain},
		{"line separator", "# a\u2028# b\n" + plain},
		{"paragraph separator", "# a\u2029# b\n" + plain},
		{"line separators around all", "\u2028\u2028" + plain + "\u2028"},
		{"mixed", strings.Replace(plain, "\n", "\r\n", 3)},
		{"mark of UTF-8", "\ufeff" + plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			mustParse(t, test.data)
			k := newKey(t, []string{"ops", "x", "y"})
			if got, err := edit.AddKey("keys.yaml", []byte(test.data), k); err == nil {
				checkAdded(t, []byte(test.data), got, k)
			}
			if got, err := edit.DisableKey("keys.yaml", []byte(test.data), "a"); err == nil {
				checkDisabled(t, []byte(test.data), got, "a")
			}
		})
	}
}

// An edit refuses a key that is never valid, as Parse does.
func TestAddKeyNeverValid(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 5, time.UTC)
	for _, end := range []time.Time{now, now.Add(-time.Hour), now.Add(time.Millisecond), time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		k := edit.NewKey{ID: "a", Digest: keystore.DigestOf("a"), NotBefore: now, NotAfter: end, Chatflows: []string{"x"}}
		if got, err := edit.AddKey("f", nil, k); err == nil {
			t.Errorf("AddKey valid from %v to %v = %s, want an error", now, end, got)
		}
	}
}

func TestAddKeyEmptyDigest(t *testing.T) {
	k := edit.NewKey{ID: "a", Digest: keystore.DigestOf(""), Chatflows: []string{"x"}}
	if got, err := edit.AddKey("f", nil, k); !strings.Contains(fmt.Sprint(err), "empty secret") {
		t.Errorf("AddKey with the digest of nothing = %q, %v, want an error", got, err)
	}
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustParse(t *testing.T, data string) *keystore.Snapshot {
	t.Helper()
	s, err := keystore.ParseDraft("keys.yaml", []byte(data))
	if err != nil {
		t.Fatalf("Parse = %v, want no error, of\n%s", err, data)
	}
	return s
}

// digest is the digest of a made-up secret, as a key file holds it.
func digest(name string) string { return keystore.DigestOf(secret(name)).String() }

func secret(name string) string { return "secret-of-the-key-" + name }
