package watch_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A way is one of the ways in which files change. It begins with a file of content "0" and is repeated, because a lost
// watch is noticed only at the next change.
type way struct {
	name string
	// begin makes the file in the directory and returns its path there.
	begin func(t *testing.T, dir string) string
	// change gives the file other content, or makes path lead to another file.
	change func(t *testing.T, dir, path string, w *watched, content string)
	times  int // how often it happens; at least 3
}

// plain begins with a file in a directory.
func plain(t *testing.T, dir string) string {
	t.Helper()
	write(t, filepath.Join(dir, "keys.yaml"), "0")
	return "keys.yaml"
}

// nested begins with a file a few directories further down.
func nested(t *testing.T, dir string) string {
	t.Helper()
	mkdir(t, filepath.Join(dir, "a", "b"))
	write(t, filepath.Join(dir, "a", "b", "keys.yaml"), "0")
	return filepath.Join("a", "b", "keys.yaml")
}

// linked begins with a link to a link to a file, each in a directory of its own.
func linked(t *testing.T, dir string) string {
	t.Helper()
	for _, d := range []string{"a", "b", "c"} {
		mkdir(t, filepath.Join(dir, d))
	}
	write(t, filepath.Join(dir, "c", "target"), "0")
	link(t, filepath.Join(dir, "c", "target"), filepath.Join(dir, "b", "middle"))
	link(t, filepath.Join("..", "b", "middle"), filepath.Join(dir, "a", "keys.yaml"))
	return filepath.Join("a", "keys.yaml")
}

// released begins with a directory that is a link to one of several.
func released(below string) func(t *testing.T, dir string) string {
	return func(t *testing.T, dir string) string {
		t.Helper()
		mkdir(t, filepath.Join(dir, "release-0", below))
		write(t, filepath.Join(dir, "release-0", below, "keys.yaml"), "0")
		link(t, "release-0", filepath.Join(dir, "current"))
		return filepath.Join("current", below, "keys.yaml")
	}
}

func release(below string) func(t *testing.T, dir, _ string, _ *watched, content string) {
	return func(t *testing.T, dir, _ string, _ *watched, content string) {
		t.Helper()
		mkdir(t, filepath.Join(dir, "release-"+content, below))
		write(t, filepath.Join(dir, "release-"+content, below, "keys.yaml"), content)
		link(t, "release-"+content, filepath.Join(dir, "current"))
	}
}

// replaceBy renames a new file over the one at path, relative to dir.
func replaceBy(path string) func(t *testing.T, dir, _ string, _ *watched, content string) {
	return func(t *testing.T, dir, _ string, _ *watched, content string) {
		t.Helper()
		write(t, filepath.Join(dir, "next"), content)
		rename(t, filepath.Join(dir, "next"), filepath.Join(dir, path))
	}
}

func ways() []way {
	return []way{
		{"renamed over", plain, replaceBy("keys.yaml"), 0},
		{"written in place", plain, func(t *testing.T, _, path string, _ *watched, content string) { t.Helper(); write(t, path, content) }, 0},
		{"deleted and made anew", plain, func(t *testing.T, _, path string, _ *watched, content string) {
			t.Helper()
			remove(t, path)
			write(t, path, content)
		}, 0},
		{"seen deleted and made anew", plain, func(t *testing.T, _, path string, w *watched, content string) {
			t.Helper()
			remove(t, path)
			w.sees(t, unreadable)
			write(t, path, content)
		}, 0},
		{"an editor's backup and rename", plain, func(t *testing.T, dir, path string, _ *watched, content string) {
			t.Helper()
			write(t, filepath.Join(dir, "4913"), "")
			remove(t, filepath.Join(dir, "4913"))
			rename(t, path, path+"~")
			write(t, path, content)
			check(t, os.Chmod(path, 0o640))
			remove(t, path+"~")
		}, 0},
		{"same size and time", plain, func(t *testing.T, _, path string, _ *watched, content string) {
			t.Helper()
			info := stat(t, path)
			write(t, path, content)
			check(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
			if now := stat(t, path); now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime()) {
				t.Fatalf("%d bytes at %v, want %d at %v", now.Size(), now.ModTime(), info.Size(), info.ModTime())
			}
		}, 0},
		{"a directory in its place", plain, func(t *testing.T, _, path string, w *watched, content string) {
			t.Helper()
			remove(t, path)
			mkdir(t, path)
			w.sees(t, unreadable)
			remove(t, path)
			write(t, path, content)
		}, 0},
		{"a mounted Secret", func(t *testing.T, dir string) string {
			t.Helper()
			mount(t, dir, "0")
			link(t, filepath.Join("..data", "keys.yaml"), filepath.Join(dir, "keys.yaml"))
			return "keys.yaml"
		}, func(t *testing.T, dir, _ string, _ *watched, content string) { t.Helper(); mount(t, dir, content) }, 6},
		{"a link's target renamed over", linked, replaceBy(filepath.Join("c", "target")), 0},
		{"a link's target written in place", linked, func(t *testing.T, dir, _ string, _ *watched, content string) {
			t.Helper()
			write(t, filepath.Join(dir, "c", "target"), content)
		}, 0},
		{"a link on the way to another file", linked, func(t *testing.T, dir, _ string, _ *watched, content string) {
			t.Helper()
			mkdir(t, filepath.Join(dir, "d", content))
			write(t, filepath.Join(dir, "d", content, "f"), content)
			link(t, filepath.Join(dir, "d", content, "f"), filepath.Join(dir, "b", "middle"))
		}, 0},
		{"the link to another file", linked, func(t *testing.T, dir, path string, _ *watched, content string) {
			t.Helper()
			write(t, filepath.Join(dir, content), content)
			link(t, filepath.Join("..", content), path)
		}, 0},
		{"the directory a link to another", released(""), release(""), 0},
		{"a directory above a link to another", released(filepath.Join("a", "b")), release(filepath.Join("a", "b")), 0},
		{"a release changed in place", released("a"), func(t *testing.T, _, path string, _ *watched, content string) { t.Helper(); write(t, path, content) }, 0},
		{"another directory in the place of its own", nested, func(t *testing.T, dir, path string, _ *watched, content string) {
			t.Helper()
			mkdir(t, filepath.Join(dir, "next"))
			write(t, filepath.Join(dir, "next", "keys.yaml"), content)
			rename(t, filepath.Dir(path), filepath.Join(dir, "old-"+content))
			rename(t, filepath.Join(dir, "next"), filepath.Dir(path))
		}, 30},
		{"directories removed and made anew", nested, func(t *testing.T, dir, path string, _ *watched, content string) {
			t.Helper()
			remove(t, filepath.Join(dir, "a"))
			mkdir(t, filepath.Dir(path))
			write(t, path, content)
		}, 0},
		{"directories seen removed and made anew", nested, func(t *testing.T, dir, path string, w *watched, content string) {
			t.Helper()
			remove(t, filepath.Join(dir, "a"))
			w.sees(t, unreadable)
			mkdir(t, filepath.Dir(path))
			write(t, path, content)
		}, 0},
		// The kernel's watch on the directory is gone before fsnotify hears that the directory moved, and other events
		// are on their way.
		{"its directory moved away and removed in a flurry", nested, func(t *testing.T, dir, path string, _ *watched, content string) {
			t.Helper()
			write(t, filepath.Join(filepath.Dir(path), "other"), content)
			rename(t, filepath.Dir(path), filepath.Join(dir, "moved"))
			remove(t, filepath.Join(dir, "moved"))
			mkdir(t, filepath.Dir(path))
			write(t, path, content)
		}, 12},
		{"written over and over", plain, func(t *testing.T, _, path string, _ *watched, content string) {
			t.Helper()
			for i := range 300 {
				write(t, path, fmt.Sprint("part ", i))
			}
			write(t, path, content)
		}, 0},
	}
}

// mount writes content as the kubelet does for a Secret: it writes a new directory, makes ..data a link to it by renaming
// over the old link, and removes the old directory.
func mount(t *testing.T, dir, content string) {
	t.Helper()
	old, _ := os.Readlink(filepath.Join(dir, "..data"))
	next := "..2026_01_01_00_00_00." + content
	mkdir(t, filepath.Join(dir, next))
	write(t, filepath.Join(dir, next, "keys.yaml"), content)
	check(t, os.Symlink(next, filepath.Join(dir, "..data_tmp")))
	rename(t, filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))
	if old != "" {
		remove(t, filepath.Join(dir, old))
	}
}

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	check(t, err)
	return info
}

// TestEventsAlone sees every change by its events alone: the next poll is an hour away.
func TestEventsAlone(t *testing.T) { testWays(t, time.Hour) }

// TestEventsAndPoll is how the gate runs, only faster.
func TestEventsAndPoll(t *testing.T) { testWays(t, 20*time.Millisecond) }

func testWays(t *testing.T, poll time.Duration) {
	t.Helper()
	t.Parallel()
	for _, way := range ways() {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, way.begin(t, dir))
			w := start(t, path, poll)
			w.sees(t, "0")
			for i := range max(way.times, 3) {
				content := string(rune('A' + i)) // all of one size
				way.change(t, dir, path, w, content)
				w.sees(t, content)
			}
		})
	}
}

// The file may be named before any directory on the way to it exists.
func TestNotThereYet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "keys.yaml")
	w := start(t, path, time.Hour)
	w.sees(t, unreadable)
	mkdir(t, filepath.Join(dir, "a"))
	mkdir(t, filepath.Dir(path))
	write(t, path, "1")
	w.sees(t, "1")
	write(t, path, "2")
	w.sees(t, "2")
}

// The path may be relative to the working directory.
func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"keys.yaml", filepath.Join(".", "a", "..", "keys.yaml"), filepath.Join("a", "keys.yaml")} {
		mkdir(t, "a")
		write(t, path, "0")
		w := start(t, path, time.Hour)
		w.sees(t, "0")
		for _, content := range []string{"1", "2"} {
			write(t, "next", content)
			rename(t, "next", path)
			w.sees(t, content)
		}
		w.stop()
	}
}
