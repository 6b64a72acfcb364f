package keystore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// directory is a store of a directory of key files, in a bubble of synctest as in [bubble].
type directory struct{ bubble }

// inDirectoryBubble opens a directory with these files, which have settled, and calls test.
func inDirectoryBubble(t *testing.T, files map[string]string, o Options, test func(d *directory)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &directory{bubble{T: t, dir: t.TempDir()}}
		for name, content := range files {
			d.put(name, content)
		}
		time.Sleep(settleTime)
		s, err := Open(d.dir, o)
		if err != nil {
			t.Fatal(err)
		}
		d.Store = s
		test(d)
	})
}

func (d *directory) remove(name string) {
	d.Helper()
	if err := os.RemoveAll(filepath.Join(d.dir, name)); err != nil {
		d.Fatal(err)
	}
}

// want compares what is active, and the names of the files that have a fault.
func (d *directory) want(step, active string, faulty ...string) {
	d.Helper()
	var stale []string
	for _, f := range d.Status().Files {
		if f.Err != nil {
			stale = append(stale, f.File)
		}
	}
	if got := summary(d.Snapshot()); got != active || !slices.Equal(stale, faulty) || d.Status().Stale != (faulty != nil) {
		d.Errorf("%s: %s, faults in %v, stale %t; want %s, and faults in %v\n%v", step, got, stale, d.Status().Stale, active, faulty, d.Status().Err)
	}
}

// TestDirectory changes the files of three teams one by one. Each is applied by itself.
func TestDirectory(t *testing.T) {
	files := map[string]string{
		"b.yaml": part("b", "y a b"), "a.yml": part("a", "x a"), "c.json": `{"version": 1, "keys": [{"id": "c", "sha256": "` + strings.Repeat("c", 64) + `"}], "chatflows": [{"id": "z", "keys": ["c", "b"]}]}`,
		".d.yaml": "no key file", "e.yaml~": "no key file", "notes.txt": "none", "f.YAML": "none",
	}
	inDirectoryBubble(t, files, Options{}, func(d *directory) {
		if err := os.Mkdir(filepath.Join(d.dir, "old.yaml"), 0o700); err != nil {
			d.Fatal(err)
		}
		d.look(0)
		d.want("at the start", "x:a y:ab z:bc")
		first := d.Snapshot().Hash()

		d.rename("b.yaml", "version: 2\n")
		d.look(0)
		d.want("one is broken", "x:a y:ab z:bc", "b.yaml")
		d.rename("a.yml", part("a d", "x d"))
		d.look(0)
		d.want("another changes", "x:d y:ab z:bc", "b.yaml")
		if d.Status().Generation != 2 || d.Snapshot().Hash() == first {
			d.Errorf("generation %d, hash %s, want 2 and another than %s", d.Status().Generation, d.Snapshot().Hash(), first)
		}
		d.rename("b.yaml", files["b.yaml"])
		d.look(0)
		d.want("it is as it was", "x:d y:ab z:bc")

		d.remove("c.json")
		d.look(settleTime - 1)
		d.want("one is gone", "x:d y:ab z:bc")
		d.look(1)
		d.look(0)
		d.want("it stays away", "x:d y:ab")
		d.remove("a.yml")
		d.look(2 * settleTime)
		d.want("one is gone of which another lists a key", "x:d y:ab", "a.yml")
		d.rename("b.yaml", part("b", "y b"))
		d.look(0)
		d.want("that is mended", "y:b")
		d.put("g.yaml", part("c", "x c"))
		d.look(0)
		d.want("a new one", "y:b x:c")
	})
}

// TestDirectoryIsExplicit: an explicit reload takes away at once what is gone.
func TestDirectoryIsExplicit(t *testing.T) {
	inDirectoryBubble(t, map[string]string{"a.yaml": part("a", "x a"), "b.yaml": part("b", "y b")}, Options{}, func(d *directory) {
		d.remove("a.yaml")
		if r := d.Reload(); r.Result != Loaded || !slices.Equal(r.Files, []string{"a.yaml"}) {
			d.Errorf("Reload = %s of %v, want success of a.yaml", r.Result, r.Files)
		}
		d.want("asked for", "y:b")
		d.put("b.yaml", "-")
		if r := d.Reload(); r.Result != Failed || !slices.Equal(r.Files, []string{"b.yaml"}) || !strings.Contains(r.Err.Error(), "b.yaml:1: ") {
			d.Errorf("Reload = %s of %v, %v, want a failure of b.yaml", r.Result, r.Files, r.Err)
		}
		d.want("asked for", "y:b", "b.yaml")
	})
}

// TestDirectoryIsLost: nothing that happens to the directory itself revokes a key.
func TestDirectoryIsLost(t *testing.T) {
	inDirectoryBubble(t, map[string]string{"a.yaml": part("a", "x a"), "b.yaml": part("b", "y b")}, Options{}, func(d *directory) {
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"emptied", func() { d.remove("a.yaml"); d.remove("b.yaml") }},
			{"gone", func() { d.remove("") }},
			{"a file", func() { d.put("", "version: 1\n") }},
			{"empty", func() { d.remove(""); _ = os.Mkdir(d.dir, 0o700) }},
		} {
			step.do()
			d.look(2 * settleTime)
			d.want(step.name, "x:a y:b", ".")
			if r := d.Reload(); r.Result != Failed || !strings.Contains(r.Err.Error(), d.dir) {
				d.Errorf("%s: Reload = %s, %v, want the fault with the path", step.name, r.Result, r.Err)
			}
		}
		d.put("a.yaml", part("a c", "x a c"))
		d.put("b.yaml", part("b", "y b"))
		d.look(0)
		d.want("it is back", "x:ac y:b")
	})
}

// TestRequiredFiles: the keys of a required file are never revoked because the file is gone.
func TestRequiredFiles(t *testing.T) {
	files := map[string]string{"a.yaml": part("a", "x a"), "b.yaml": part("b", "y b")}
	inDirectoryBubble(t, files, Options{Require: []string{"b.yaml"}}, func(d *directory) {
		d.remove("b.yaml")
		d.look(2 * settleTime)
		d.want("gone", "x:a y:b", "b.yaml")
		if r := d.Reload(); r.Result != Failed || !strings.Contains(r.Err.Error(), "b.yaml\": it does not exist") {
			d.Errorf("Reload = %s, %v, want that it does not exist", r.Result, r.Err)
		}
		d.rename("a.yaml", part("c", "x c"))
		d.look(0)
		d.want("another changes", "x:c y:b", "b.yaml")
		d.put("b.yaml", part("b d", "y d"))
		d.look(settleTime - 1)
		d.want("it is back, perhaps half written", "x:c y:b", "b.yaml")
		d.look(1)
		d.look(0)
		d.want("it stays so", "x:c y:d b")
	})
	dir := filepath.Dir(testkit.WriteFile(t, "a.yaml", part("a", "x a")))
	if _, err := Open(dir, Options{Require: []string{"b.yaml"}}); err == nil || !strings.Contains(err.Error(), "b.yaml\": it does not exist") {
		t.Errorf("Open without a required file = %v, want that it does not exist", err)
	}
	if _, err := Open(filepath.Join(dir, "a.yaml"), Options{Require: []string{"b.yaml"}}); err == nil || !strings.Contains(err.Error(), "--keys-require") {
		t.Errorf("Open of a file with --keys-require = %v, want an error", err)
	}
}

// TestDirectoryAtTheStart: nothing is active yet, so any fault is an error, and all are reported.
func TestDirectoryAtTheStart(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"empty", nil, []string{"it is a directory without a key file"}},
		{"one is broken", map[string]string{"a.yaml": part("a", "x a"), "b.yaml": "version: 2\n"}, []string{"b.yaml:1: version"}},
		{"both are broken", map[string]string{"a.yaml": part("a", "x d"), "b.yaml": "version: 2\n"}, []string{"a.yaml:5: chatflow \"x\" lists key \"d\"", "b.yaml:1: version"}},
		{"a link to nothing", map[string]string{"a.yaml": part("a", "x a d"), "b.yaml": ">nowhere"}, []string{"b.yaml\": it does not exist"}},
		{"a named pipe", map[string]string{"a.yaml": part("a", "x a"), "b.yaml": "|"}, []string{"b.yaml\": it is a named pipe"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range test.files {
				var err error
				path := filepath.Join(dir, name)
				switch content[0] {
				case '>':
					err = os.Symlink(content[1:], path)
				case '|':
					err = syscall.Mkfifo(path, 0o600)
				default:
					err = os.WriteFile(path, []byte(content), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			_, err := Open(dir, Options{})
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Open = %v, want %q", err, want)
				}
			}
		})
	}
}

// TestOddFileInDirectory puts something that must not be read in place of a file. It holds up no other file.
func TestOddFileInDirectory(t *testing.T) {
	inDirectoryBubble(t, map[string]string{"a.yaml": part("a b", "x a b"), "b.yaml": part("c", "y c")}, Options{}, func(d *directory) {
		for name, put := range map[string]func(path string) error{
			"named pipe":       func(path string) error { return syscall.Mkfifo(path, 0o600) },
			"directory":        func(path string) error { return os.Mkdir(path, 0o700) },
			"link to a device": func(path string) error { return os.Symlink("/dev/zero", path) },
			"too large": func(path string) error {
				return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, directoryLimits.file+1))
			},
			"link to a file far": func(path string) error { return os.Symlink("/proc/self/mem", path) },
		} {
			d.remove("b.yaml")
			if err := put(filepath.Join(d.dir, "b.yaml")); err != nil {
				d.Fatal(err)
			}
			d.rename("a.yaml", part("a", "x a"))
			d.look(2 * settleTime)
			d.want(name, "x:a y:c", "b.yaml")
			d.rename("a.yaml", part("a b", "x a b"))
			d.look(0)
		}
		d.remove("b.yaml")
		d.put("b.yaml", part("c", "y c"))
		d.look(0)
		d.want("it is back", "x:ab y:c")
	})
}

// TestDirectoryIsBounded: a file beyond a limit is not read, and holds up no other file.
func TestDirectoryIsBounded(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits limits
		beyond func(d *directory)
		fault  string
		in     string // the file that has it
	}{
		{"key files", limits{entries: 100, files: 2, file: 1000, bytes: 1000}, func(d *directory) { d.put("a.yaml", part("d", "w d")); d.put("d.yaml", "-") }, "more than 2 key files; not read: 2;", "."},
		{"names", limits{entries: 3, files: 3, file: 1000, bytes: 1000}, func(d *directory) { d.put("one", ""); d.put("two", "") }, "it has 3 files or more", "."},
		{"odd name", directoryLimits, func(d *directory) { d.put("\xff\n.yaml", part("e")) }, `"\xff\n.yaml" is not read`, "."},
		{"all together", limits{entries: 9, files: 9, file: 1000, bytes: 500}, func(d *directory) { d.rename("c.yaml", part("c", "y c")+strings.Repeat("#", 300)+"\n") }, "c.yaml\": the key files of its directory", "c.yaml"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inDirectoryBubble(t, map[string]string{"b.yaml": part("a b", "x a b"), "c.yaml": part("c", "y c")}, Options{}, func(d *directory) {
				d.files.limits = test.limits
				test.beyond(d)
				d.rename("b.yaml", part("a", "x a"))
				d.look(settleTime)
				d.look(0)
				if d.want(test.name, "x:a y:c", test.in); !strings.Contains(fmt.Sprint(d.Status().Err), test.fault) {
					d.Errorf("fault = %v, want %q", d.Status().Err, test.fault)
				}
				for _, name := range []string{"a.yaml", "d.yaml", "one", "two", "\xff\n.yaml"} {
					d.remove(name)
				}
				d.rename("c.yaml", part("c d", "y d"))
				d.look(0)
				d.want("within the limits again", "x:a y:d c")
			})
		})
	}
}
