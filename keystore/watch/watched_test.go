package watch_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// unreadable stands for the content of a file that cannot be read.
const unreadable = "(unreadable)"

// watched is a file that Run watches.
type watched struct {
	path  string
	seen  chan string // what each check found, if it was new
	looks atomic.Int64
	stop  func()
}

// start runs Run for path and returns when the watch is in place.
func start(t *testing.T, path string, poll time.Duration) *watched {
	t.Helper()
	w := &watched{path: path, seen: make(chan string, 10_000)}
	file := watch.NewFile(path, 1<<30)
	var failed bool
	look := func() time.Duration {
		w.looks.Add(1)
		switch content, changed, err := read(file); {
		case err != nil && !failed:
			w.seen <- unreadable
			failed = true
		case err == nil && changed:
			w.seen <- content
			failed = false
		}
		return 0
	}
	w.stop = run(t, poll, func() []string { return []string{path} }, look)
	w.poke(t)
	return w
}

// read returns the content of a file.
func read(f *watch.File) (content string, changed bool, err error) {
	c, changed, err := f.Open()
	if err != nil {
		return "", false, err
	}
	data, err := io.ReadAll(c)
	return string(data), changed, errors.Join(err, c.Close())
}

// run calls Run, ends it when the test ends or stop is called, and checks that it does end.
func run(t *testing.T, poll time.Duration, paths func() []string, look func() time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); watch.Run(ctx, poll, paths, look) }()
	stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(testkit.Timeout):
			t.Error("Run goes on without its context")
		}
	}
	t.Cleanup(stop)
	return stop
}

// poke makes events beside the file until the first check.
func (w *watched) poke(t *testing.T) {
	t.Helper()
	dir := filepath.Dir(w.path)
	for {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	beside := filepath.Join(dir, "beside")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(testkit.Timeout)
	for w.looks.Load() == 0 {
		write(t, beside, "x")
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no look after any event")
		}
	}
	remove(t, beside)
}

// sees waits until a check has found the content.
func (w *watched) sees(t *testing.T, content string) {
	t.Helper()
	deadline := time.After(testkit.Timeout)
	last := "nothing"
	for {
		select {
		case last = <-w.seen:
			if last == content {
				return
			}
		case <-deadline:
			t.Fatalf("not seen: %q; last seen: %q, in %d looks", content, last, w.looks.Load())
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(content), 0o600))
}

func remove(t *testing.T, path string) {
	t.Helper()
	check(t, os.RemoveAll(path))
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	check(t, os.Rename(from, to))
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	check(t, os.MkdirAll(path, 0o755))
}

// link makes path a symbolic link, replacing what was there.
func link(t *testing.T, to, path string) {
	t.Helper()
	check(t, os.Symlink(to, path+".tmp"))
	rename(t, path+".tmp", path)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
