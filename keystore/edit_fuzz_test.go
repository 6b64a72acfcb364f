package keystore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/flowlatch/flowlatch/keystore"
)

// FuzzEdit: of a file that Parse accepts, an edit makes the file with the change asked for and every
// line in its place, or an error.
func FuzzEdit(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, "ops", "x new")
	}
	for _, s := range editSeeds(f) {
		f.Add(s, "ops", "x y")
		f.Add(strings.ReplaceAll(s, "\n", "\r\n"), "ops", "* new z")
		f.Add(strings.TrimSpace(s), "@", "new")
	}
	f.Fuzz(func(t *testing.T, data, id, chatflows string) {
		s, err := keystore.Parse("keys.yaml", []byte(data))
		k := keystore.NewKey{ID: id, Digest: keystore.DigestOf(secret("new")), Chatflows: strings.Fields(chatflows)}
		added, addErr := keystore.AddKey("keys.yaml", []byte(data), k)
		if (added == nil) == (addErr == nil) {
			t.Fatalf("AddKey = %q, %v, want one of them", added, addErr)
		}
		if addErr == nil {
			checkAdded(t, []byte(data), added, k)
		}
		if err != nil {
			return
		}
		for _, k := range s.Keys() {
			off, err := keystore.DisableKey("keys.yaml", []byte(data), k.ID)
			if (off == nil) == (err == nil) {
				t.Fatalf("DisableKey = %q, %v, want one of them", off, err)
			}
			if err == nil {
				checkDisabled(t, []byte(data), off, k.ID)
			}
		}
	})
}

// editSeeds are the files before the edits of testdata.
func editSeeds(f *testing.F) []string {
	f.Helper()
	paths, err := filepath.Glob("testdata/edit/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatalf("Glob = %d files, %v", len(paths), err)
	}
	var list []string
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range txtar.Parse(data).Files {
			if file.Name == "before" {
				list = append(list, string(file.Data))
			}
		}
	}
	return list
}
