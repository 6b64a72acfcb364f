package keystore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestFileOf looks for the file that lists a key, including beside files with faults.
func TestFileOf(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.yaml": "version: 1\nchatflows: [{id: x, keys: [key-b]}]\n", "b.yaml": keyFile("key-b", "key-c"), "c.json": "{}", "d.yml": keyFile("key-c"), ".e.yaml": keyFile("key-e"),
	} {
		writeFile(t, filepath.Join(dir, name), content)
	}
	if err := os.Mkdir(filepath.Join(dir, "f.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path, id, want string
		wantErr              []string
	}{
		{"a file", filepath.Join(dir, "b.yaml"), "whatever", "b.yaml", nil},
		{"a file that is not there", filepath.Join(dir, "new.yaml"), "key-b", "new.yaml", nil},
		{"a key", dir, "key-b", "b.yaml", nil},
		{"no such key", dir, "key-e", "", []string{`no key file in it lists key "key-e"; did you mean key-b?`, "c.json:1: no version"}},
		{"a key in two files", dir, "key-c", "", []string{"b.yaml, ", "d.yml", "remove it from all but one"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := keystore.FileOf(test.path, test.id)
			if test.wantErr == nil && (err != nil || got != filepath.Join(dir, test.want)) {
				t.Errorf("FileOf = %s, %v, want %s", got, err, test.want)
			}
			for _, want := range test.wantErr {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("FileOf = %s, %v, want %q", got, err, want)
				}
			}
		})
	}
}

// TestCheckPart asks what new content of one file would break, beside a file that is already broken.
func TestCheckPart(t *testing.T) {
	dir := t.TempDir()
	const lists = "version: 1\nchatflows: [{id: x, keys: [key-b]}]\n"
	for name, content := range map[string]string{"a.yaml": lists, "b.yaml": keyFileFor("y", "key-b", "key-c"), "broken.json": "{}"} {
		writeFile(t, filepath.Join(dir, name), content)
	}
	for _, test := range []struct{ name, file, next, want string }{
		{"a change", "b.yaml", keyFileFor("y", "key-b"), ""},
		{"as it is", "a.yaml", lists, ""},
		{"a new file", "c.yaml", keyFileFor("z", "key-d"), ""},
		{"the broken file mended", "broken.json", `{"version": 1, "keys": [{"id": "key-e", "sha256": "` + digest("e") + `"}]}`, ""},
		{"a key that another file lists", "b.yaml", keyFileFor("y", "key-c"), `a.yaml:2: chatflow "x" lists key "key-b", which no key file has`},
		{"a key that another file has", "c.yaml", keyFileFor("z", "key-c"), `c.yaml:3: key ID "key-c" is used twice`},
		{"a fault of its own", "c.yaml", "version: 2\n", `c.yaml:1: version "2"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := keystore.CheckPart(filepath.Join(dir, test.file), []byte(test.next))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("CheckPart = %v, want %q", err, test.want)
			}
		})
	}
}
