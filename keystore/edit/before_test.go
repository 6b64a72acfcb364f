package edit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/keystore/edit"
)

// Before is called when the new content is on disk and readers still see the old one. If it returns an error, everything
// is undone.
func TestEditBefore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.yaml")
	writeFile(t, path, "old")
	refused := errors.New("the secret cannot be handed out")
	for _, want := range []error{refused, nil} {
		calls := 0
		_, err := edit.File(path, edit.Options{Before: func() error {
			calls++
			if contentOf(t, path) != "old" {
				t.Errorf("the file holds %q already", contentOf(t, path))
			}
			for name := range strings.SplitSeq(entries(t, dir), " ") {
				if name != "keys.yaml" && contentOf(t, filepath.Join(dir, name)) != "new" {
					t.Errorf("%s holds %q, want the new content", name, contentOf(t, filepath.Join(dir, name)))
				}
			}
			if !strings.Contains(entries(t, dir), " ") && !strings.HasPrefix(entries(t, dir), ".") {
				t.Errorf("the directory holds %s, want the new content too", entries(t, dir))
			}
			return want
		}}, to("new"))
		if !errors.Is(err, want) || calls != 1 || entries(t, dir) != "keys.yaml" {
			t.Errorf("File = %v after %d calls and left %s, want %v", err, calls, entries(t, dir), want)
		}
	}
	if contentOf(t, path) != "new" {
		t.Errorf("the file holds %q, want new", contentOf(t, path))
	}
}

// An edit that changes nothing does not write the file, so that a gate sees no new one.
func TestEditWithoutChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	writeFile(t, path, "old")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edit.File(path, edit.Options{}, func(data []byte) ([]byte, error) { return data, nil }); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was replaced, %v", err)
	}
}

// A pipe is not a key file, and an edit must not find that out by waiting for its other end.
func TestEditIrregular(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := edit.File(path, edit.Options{}, to("new")); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("File of a pipe = %v, want that it is no file", err)
	}
}
