package edit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore/edit"
)

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.secret")
	if err := edit.Create(path, []byte("x\n")); err != nil || contentOf(t, path) != "x\n" {
		t.Errorf("Create = %v and %q, want x", err, contentOf(t, path))
	}
	checkMode(t, path, 0o600)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nothing"), link); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, want string }{
		"a file that exists":   {path, path + " exists already, and is not overwritten"},
		"a directory":          {dir, "exists already"},
		"a link to nothing":    {link, "exists already"},
		"no directory":         {filepath.Join(dir, "none", "a"), "its directory does not exist"},
		"a file for directory": {filepath.Join(path, "a"), "not a directory"},
		"a device":             {os.DevNull, "exists already"},
	} {
		if err := edit.Create(test.path, []byte("y")); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Create of %s = %v, want %q", name, err, test.want)
		}
	}
	if contentOf(t, path) != "x\n" || entries(t, dir) != "a.secret link" {
		t.Errorf("%q is left in %s, want what was there", contentOf(t, path), entries(t, dir))
	}
}
