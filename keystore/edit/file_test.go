package edit_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore/edit"
)

func writeFile(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func to(data string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(data), nil }
}

func TestEditFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.yaml")
	for _, test := range []struct{ before, after string }{{"", "one"}, {"one", "two, longer than one"}, {"two, longer than one", "3"}, {"3", ""}} {
		var seen []byte
		_, err := edit.File(path, edit.Options{}, func(data []byte) ([]byte, error) { seen = bytes.Clone(data); return []byte(test.after), nil })
		if err != nil || string(seen) != test.before || contentOf(t, path) != test.after {
			t.Errorf("Edit saw %q and left %q, %v, want %q and %q", seen, contentOf(t, path), err, test.before, test.after)
		}
	}
	if got := entries(t, dir); got != "keys.yaml" {
		t.Errorf("the directory holds %s, want keys.yaml", got)
	}
}

// The old and the new content may hold secrets, so nobody else may read a file that is newly made.
func TestEditNewFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	if _, err := edit.File(path, edit.Options{}, to("x")); err != nil {
		t.Fatal(err)
	}
	checkMode(t, path, 0o600)
}

func TestEditKeepsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	for _, mode := range []fs.FileMode{0o600, 0o640, 0o644, 0o666, 0o400} {
		writeFile(t, path, "x")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := edit.File(path, edit.Options{}, to("y")); err != nil {
			t.Fatal(err)
		}
		checkMode(t, path, mode)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func checkMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != want {
		t.Errorf("mode of %s = %v, %v, want %v", path, info.Mode(), err, want)
	}
}

func TestEditKeepsSymlink(t *testing.T) {
	for _, test := range []struct {
		name  string
		there bool
	}{{"to a file", true}, {"to nothing yet", false}} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "real", "deep"), 0o755); err != nil {
				t.Fatal(err)
			}
			target := filepath.Join(dir, "real", "deep", "k")
			if test.there {
				writeFile(t, target, "old")
			}
			for link, to := range map[string]string{"keys.yaml": "middle", "middle": filepath.Join("real", "deep", "k")} {
				if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := edit.File(filepath.Join(dir, "keys.yaml"), edit.Options{}, to("new")); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.Readlink(filepath.Join(dir, "keys.yaml")); got != "middle" {
				t.Errorf("keys.yaml is no link to middle any more, but %q", got)
			}
			if got, _ := os.ReadFile(target); string(got) != "new" {
				t.Errorf("the file that the link means holds %q, want new", got)
			}
			if got := entries(t, dir) + " " + entries(t, filepath.Dir(target)); got != "keys.yaml middle real k" {
				t.Errorf("the directories hold %s, want keys.yaml middle real k", got)
			}
		})
	}
}

// A reader sees the old file or the new one, and never a part of one.
func TestEditIsAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	contents := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<10), strings.Repeat("c", 1<<17)}
	writeFile(t, path, contents[0])
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for n := 0; ; n++ {
				data, err := os.ReadFile(path)
				if err != nil || !slices.Contains(contents, string(data)) {
					t.Errorf("read %d: %d bytes, %v, want a complete file", n, len(data), err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range 40 {
		if _, err := edit.File(path, edit.Options{}, to(contents[i%len(contents)])); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	readers.Wait()
}

// Concurrent editors lose nothing of what the others write, in one process or in several.
func TestEditConcurrently(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "keys.yaml"), filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	var editors sync.WaitGroup
	var want []string
	start := func(word string, f func() error) {
		for i := range editsOfOne {
			want = append(want, word+string(rune('0'+i)))
		}
		editors.Go(func() {
			if err := f(); err != nil {
				t.Errorf("%s: %v", word, err)
			}
		})
	}
	writeFile(t, path, "version: 1\nkeys: []\nchatflows:\n  - {id: x, public: true}\n")
	for _, word := range []string{"a", "b", "c", "d"} {
		start(word, func() error { return addKeys(path, word) })
	}
	start("l", func() error { return addKeys(link, "l") })
	for _, word := range []string{"p", "q", "r"} {
		c := child(t, "add", path, word)
		c.Stderr = t.Output()
		start(word, c.Run)
	}
	editors.Wait()
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(keyIDs(t, path)))); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if got := entries(t, dir); got != "keys.yaml" {
		t.Errorf("the directory holds %s, want keys.yaml", got)
	}
}

func TestEditRefusedByChange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.yaml")
	refused := errors.New("refused")
	attempt := func() error {
		_, err := edit.File(path, edit.Options{}, func([]byte) ([]byte, error) { return []byte("half"), refused })
		return err
	}
	if err := attempt(); !errors.Is(err, refused) || entries(t, dir) != "" {
		t.Errorf("Edit = %v and left %q, want %v and nothing", err, entries(t, dir), refused)
	}
	writeFile(t, path, "old")
	if err := attempt(); !errors.Is(err, refused) || contentOf(t, path) != "old" || entries(t, dir) != "keys.yaml" {
		t.Errorf("Edit = %v and left %q in %s, want the old file", err, contentOf(t, path), entries(t, dir))
	}
	// It gave the lock back: another edit does not wait for it.
	if _, err := edit.File(path, edit.Options{}, to("new")); err != nil {
		t.Error(err)
	}
}

// Replacing can go wrong at its last step too.
func TestReplaceLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.yaml")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := edit.Replace(path, []byte("x")); err == nil {
		t.Error("Replace of a directory = no error")
	}
	if got := entries(t, dir); got != "keys.yaml" {
		t.Errorf("the directory holds %s, want keys.yaml", got)
	}
}

func TestEditErrors(t *testing.T) {
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	writeFile(t, file, "")
	for _, test := range []struct{ name, path string }{
		{"a directory", dir},
		{"no directory", filepath.Join(dir, "none", "keys.yaml")},
		{"a file for a directory", filepath.Join(file, "keys.yaml")},
		{"links in a circle", loop},
	} {
		_, err := edit.File(test.path, edit.Options{}, func([]byte) ([]byte, error) { t.Errorf("%s: change was called", test.name); return nil, nil })
		if err == nil || !strings.Contains(err.Error(), `key file "`+test.path+`"`) {
			t.Errorf("Edit of %s = %v, want an error that names it", test.name, err)
		}
	}
	if got := entries(t, dir); got != "file loop" {
		t.Errorf("the directory holds %s, want what was there", got)
	}
}

func TestEditErrorText(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EROFS:   `editing key file "k": it is on a read-only file system, as a mounted Secret or ConfigMap is; use --stdout`,
		syscall.EBUSY:   `editing key file "k": it is a mount point of its own and cannot be replaced; mount its directory, or use --stdout`,
		syscall.EACCES:  `editing key file "k": no permission to write in its directory; run this as its owner, or use --stdout`,
		fs.ErrExist:     `editing key file "k": file already exists`,
		syscall.ENOSPC:  `editing key file "k": rename a b: no space left on device`,
		fs.ErrNotExist:  `editing key file "k": `,
		os.ErrClosed:    `editing key file "k": file already closed`,
		syscall.ENOTDIR: `editing key file "k": rename a b: not a directory`,
	} {
		cause := err
		if errno, ok := err.(syscall.Errno); ok { //nolint:errorlint // the table's own values
			cause = &os.LinkError{Op: "rename", Old: "a", New: "b", Err: errno}
		}
		if got := edit.FileError("k", cause); !strings.HasPrefix(got.Error(), want) {
			t.Errorf("EditError(%v) = %v, want %s", cause, got, want)
		}
	}
}
