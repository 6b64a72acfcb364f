package keystore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestFileOf looks for the file of a key, also beside files with faults.
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
