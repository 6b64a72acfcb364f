package keystore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// both parses a file line by line, if it is plain, and through the YAML library.
func both(data []byte) (plain bool, fast, slow *Snapshot, fastErr, slowErr error) {
	_, plain = readPlain(data, 0)
	fast, fastErr = parse("keys.yaml", data, parseOptions{plainFrom: 0})
	slow, slowErr = parse("keys.yaml", data, parseOptions{plainFrom: len(data) + 1})
	return plain, fast, slow, fastErr, slowErr
}

func checkBoth(t *testing.T, data []byte) (plain bool) {
	t.Helper()
	plain, fast, slow, fastErr, slowErr := both(data)
	if (fastErr == nil) != (slowErr == nil) || fastErr != nil && fastErr.Error() != slowErr.Error() {
		t.Fatalf("line by line: %v\nby the library: %v\nof %q", fastErr, slowErr, data)
	}
	if fastErr != nil {
		return plain
	}
	if d := Compare(slow, fast); !d.Empty() {
		t.Errorf("line by line differs from the library by %+v, of %q", d, data)
	}
	if d := cmp.Diff(slow.Warnings, fast.Warnings, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("warnings (-library +line by line):\n%s", d)
	}
	for i, k := range slow.keys {
		if fast.keys[i].Line != k.Line || fast.keys[i].ID != k.ID {
			t.Errorf("key %d is %q in line %d, want %q in line %d", i, fast.keys[i].ID, fast.keys[i].Line, k.ID, k.Line)
		}
	}
	for i, c := range slow.chatflows {
		if fast.chatflows[i].Line != c.Line {
			t.Errorf("chatflow %q is in line %d, want %d", c.ID, fast.chatflows[i].Line, c.Line)
		}
	}
	return plain
}

const plainFile = `# Comment.
version: 1

keys:
  - id: a
    sha256: ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb
    not_after: 2027-01-01T00:00:00Z
  # Comment.
  - sha256: 3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d
    id: b
    disabled: true
chatflows:
  - id: "*"
    keys: [b]
  - id: x
    name: "null"
    keys: [a, b]
  - id: y
    public: true
`

func TestPlain(t *testing.T) {
	if !checkBoth(t, []byte(plainFile)) {
		t.Error("the plain file is not taken for one")
	}
	faulty := []string{ // still plain, and faulty: the same faults in the same lines
		strings.Replace(plainFile, "id: b", "id: a", 1), strings.Replace(plainFile, "[a, b]", "[a, c]", 1),
		strings.Replace(plainFile, "disabled: true", "disabled: yes", 1), strings.Replace(plainFile, "version: 1", "version: 2", 1),
		strings.Replace(plainFile, "public: true", "public: null", 1), strings.Replace(plainFile, "id: y", "id: x", 1),
		strings.Replace(plainFile, "id: b", "id: true", 1), strings.Replace(plainFile, "id: b", "colour: b", 1),
	}
	for _, s := range faulty {
		if !checkBoth(t, []byte(s)) {
			t.Errorf("not taken for plain: %s", s)
		}
	}
	other := []string{ // not plain
		"", "version: 1\n", "version: 1\nkeys:\n", strings.ReplaceAll(plainFile, "\n", "\r\n"), strings.Replace(plainFile, "id: a", "id: a # x", 1),
		strings.Replace(plainFile, "id: a", "id: &x a", 1), strings.Replace(plainFile, "  - id: a\n", "  - id:\n      a\n", 1),
		strings.Replace(plainFile, "[a, b]", "[a,b]", 1), strings.Replace(plainFile, "[a, b]", "\n    - a", 1), plainFile + "---\nversion: 1\n",
		strings.Replace(plainFile, "id: a", "id: 'a'", 1), strings.Replace(plainFile, "id: a", `id: "a\n"`, 1), strings.Replace(plainFile, "# Comment.", "# \x01", 1),
		strings.Replace(plainFile, "id: a", "id: a:", 1), strings.Replace(plainFile, "id: a", "id: -", 1), strings.Replace(plainFile, "    disabled", "   disabled", 1),
		strings.Replace(plainFile, "chatflows:", "keys:", 1), strings.Replace(plainFile, "id: a", "id:  a", 1), "flowise_api_keys: x\n" + plainFile,
	}
	for _, s := range other {
		if checkBoth(t, []byte(s)) {
			t.Errorf("taken for plain: %s", s)
		}
	}
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata: %v", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		checkBoth(t, data)
	}
}

// FuzzPlain: what is read line by line is what the library reads.
func FuzzPlain(f *testing.F) {
	f.Add([]byte(plainFile))
	f.Add([]byte("version: 1\nchatflows:\n  - id: \"*\"\n    keys: [a, b]\nkeys:\n  - id: a\n    secret: 0123456789abcdef\n"))
	f.Add([]byte("# x\n\nversion: 1\nkeys:\n  - id: null\n    sha256: 1:2\n    secrets: [a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) { checkBoth(t, data) })
}
