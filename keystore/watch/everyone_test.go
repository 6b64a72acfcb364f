package watch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

func TestEveryoneReads(t *testing.T) {
	t.Parallel()
	public := testkit.PublicDir(t)
	file := func(path string, mode os.FileMode) string {
		t.Helper()
		path = filepath.Join(public, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("a secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // independent of the umask
			t.Fatal(err)
		}
		return path
	}
	link := func(from, to string) string {
		t.Helper()
		from = filepath.Join(public, from)
		if err := os.MkdirAll(filepath.Dir(from), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
		return from
	}
	open := file("open", 0o644)
	closed := file("closed/in/open", 0o644)
	file("volume/..2026_11_29/token", 0o644)
	link("volume/..data", "..2026_11_29")
	linked := link("closed/link", open)
	if err := os.Chmod(filepath.Join(public, "closed"), 0o750); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		want       bool
	}{
		{"0644", open, true},
		{"0604", file("0604", 0o604), true},
		{"0640", file("0640", 0o640), false},
		{"0600", file("0600", 0o600), false},
		{"writable and not readable", file("0602", 0o602), false},
		{"below a directory that others cannot enter", closed, false},
		{"a link to it", link("link-to-closed", closed), false},
		{"a link from there", linked, true},
		{"a volume of Kubernetes", link("volume/token", "..data/token"), false},
		{"a link into one", link("elsewhere", "volume/token"), false},
		{"a directory", public, false},
		{"not there", filepath.Join(public, "nothing"), false},
		{"a device", os.DevNull, false},
	} {
		if got := EveryoneReads(tt.path); got != tt.want {
			t.Errorf("EveryoneReads of %s = %t, want %t", tt.name, got, tt.want)
		}
	}
}
