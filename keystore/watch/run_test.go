package watch_test

import (
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// TestPollAlone writes to the file by another name, in a directory that nobody watches, so the watched directory has no
// event.
func TestPollAlone(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, plain(t, dir))
	other := filepath.Join(elsewhere, "other")
	check(t, os.Link(path, other))
	w := start(t, path, 10*time.Millisecond)
	w.sees(t, "0")
	events, err := fsnotify.NewWatcher()
	check(t, err)
	defer events.Close()
	check(t, events.Add(dir))
	for _, content := range []string{"1", "2", "3"} {
		write(t, other, content)
		w.sees(t, content)
	}
	write(t, filepath.Join(dir, "after"), "")
	if e := <-events.Events; filepath.Base(e.Name) != "after" {
		t.Errorf("event %s: the poll was not alone", e)
	}
}

// The files to watch may be others after a check than before it.
func TestPathsChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one", "f"), filepath.Join(dir, "two", "f")
	mkdir(t, filepath.Dir(one))
	mkdir(t, filepath.Dir(two))
	write(t, one, "0")
	write(t, two, "0")
	first, second := watch.NewFile(one, 1<<30), watch.NewFile(two, 1<<30)
	var both atomic.Bool
	w := &watched{path: one, seen: make(chan string, 1000)}
	look := func() time.Duration {
		w.looks.Add(1)
		for name, f := range map[string]*watch.File{"one ": first, "two ": second} {
			if content, changed, err := read(f); err == nil && changed {
				w.seen <- name + content
				if name == "one " && content == "both" {
					both.Store(true)
				}
			}
		}
		return 0
	}
	run(t, time.Hour, func() []string {
		if both.Load() {
			return []string{one, two}
		}
		return []string{one}
	}, look)
	w.poke(t)
	write(t, one, "both")
	w.sees(t, "one both")
	for _, content := range []string{"1", "2"} {
		write(t, two, content)
		w.sees(t, "two "+content)
		write(t, one, content)
		w.sees(t, "one "+content)
	}
}

// Run ends when its context is done, whatever it is doing, and leaves nothing behind.
func TestRunEnds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, plain(t, dir))
	for range 3 {
		w := start(t, path, time.Hour)
		write(t, path, "1") // so that it may be waiting for the next event
		w.stop()
	}
	// A goroutine may take a moment to go away after its last statement.
	testkit.Eventually(t, "the end of all that Run started", func() bool { return !running(t) })
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		for _, fd := range fds {
			if to, _ := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); strings.Contains(to, "inotify") {
				t.Errorf("still open after Run has returned: %s", to)
			}
		}
	}
}

// running reports whether Run, or what it starts, is in a goroutine.
func running(t *testing.T) bool {
	t.Helper()
	var stacks strings.Builder
	check(t, pprof.Lookup("goroutine").WriteTo(&stacks, 2))
	return strings.Contains(stacks.String(), "watch.Run") || strings.Contains(stacks.String(), "fsnotify.")
}
