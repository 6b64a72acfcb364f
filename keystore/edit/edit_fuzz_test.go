package edit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// FuzzEdit: an edit of a file that Parse accepts returns the file with the requested change and every other line in its
// place, or an error.
func FuzzEdit(f *testing.F) {
	for _, s := range keyFiles(f) {
		f.Add(s, "ops", "x new")
	}
	for _, s := range scripts(f) {
		f.Add(s, "ops", "x y")
		f.Add(strings.ReplaceAll(s, "\n", "\r\n"), "ops", "* new z")
		f.Add(strings.TrimSpace(s), "@", "new")
	}
	f.Fuzz(func(t *testing.T, text, id, chatflows string) {
		data, some := []byte(text), strings.Fields(chatflows)
		file := fileOf(data)
		s, err := keystore.Parse(file, data)
		k := edit.NewKey{ID: id, Digest: keystore.DigestOf(secret("new")), Chatflows: some}
		added, addErr := edit.AddKey(file, data, k)
		if (added == nil) == (addErr == nil) {
			t.Fatalf("AddKey = %q, %v, want one of them", added, addErr)
		}
		if addErr == nil {
			checkAdded(t, data, added, k)
		}
		if err != nil {
			return
		}
		for _, k := range s.Keys()[:min(len(s.Keys()), 3)] {
			off, err := edit.DisableKey(file, data, k.ID)
			if (off == nil) == (err == nil) {
				t.Fatalf("DisableKey = %q, %v, want one of them", off, err)
			}
			if err == nil {
				checkDisabled(t, data, off, k.ID)
			}
			var opens []string
			for _, c := range s.Chatflows() {
				if c.Lists(k) {
					opens = append(opens, c.ID)
				}
			}
			for name, e := range edits {
				to := some
				if name != "grant" {
					to = opens
				}
				next, err := e.edit(file, data, k.ID, to)
				if (next == nil) == (err == nil) {
					t.Fatalf("%s = %q, %v, want one of them", name, next, err)
				}
				if err == nil {
					e.check(t, data, next, k.ID, to)
				}
			}
		}
	})
}

// keyFiles are the key files of the tests of Parse.
func keyFiles(f *testing.F) (list []string) {
	f.Helper()
	eachFile(f, "../testdata/*.yaml", func(data []byte) { list = append(list, string(data)) })
	return list
}

// scripts are the files that testdata has as the input of edits.
func scripts(f *testing.F) (list []string) {
	f.Helper()
	eachFile(f, "testdata/*.txtar", func(data []byte) {
		for _, file := range txtar.Parse(data).Files {
			if file.Name == "before" {
				list = append(list, string(file.Data))
			}
		}
	})
	return list
}

func eachFile(f *testing.F, pattern string, do func(data []byte)) {
	f.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		f.Fatalf("Glob(%q) = %d files, %v", pattern, len(paths), err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		do(data)
	}
}
