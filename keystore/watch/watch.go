// Package watch says when a file may have changed, and whether it did.
//
// Events of the kernel are only a hint: they are lost on network file systems, and a watch on a file
// itself goes silent when the file is replaced. So the directories on the way to the file are
// watched, a slow poll runs beside them, and what decides is the content.
package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// The times of a watch.
const (
	// Poll is how often a file is looked at without an event.
	Poll = 2 * time.Second
	// quiet is how long to wait after an event for the next one: a write is often several.
	quiet = 20 * time.Millisecond
	// patience is how long events may follow one another before the file is looked at all the same.
	patience = 200 * time.Millisecond
)

// Run calls look whenever one of the files that paths returns may have changed: shortly after an event
// in a directory on the way to it, every poll (zero means [Poll]), and after the time that look asks
// for if it is not zero. It returns when ctx is done.
// Both are called from one goroutine. Where the kernel gives no events, the poll goes on alone.
func Run(ctx context.Context, poll time.Duration, paths func() []string, look func() (again time.Duration)) {
	if poll <= 0 {
		poll = Poll
	}
	var (
		events <-chan fsnotify.Event
		errs   <-chan error
		follow = func() {}
	)
	if w, err := fsnotify.NewWatcher(); err == nil {
		defer w.Close()
		events, errs = w.Events, w.Errors
		follow = func() { watchDirs(w, paths()) }
	}
	follow()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-again:
		case <-errs: //nolint:errcheck // lost events: look, as after an event
		case <-events:
			if !settle(ctx, events) {
				return
			}
		}
		follow()
		again = nil
		if d := look(); d > 0 {
			again = time.After(d)
		}
		follow() // what look found may have named other files
	}
}

// settle waits until no event has come for a moment. It reports whether ctx is still going.
func settle(ctx context.Context, events <-chan fsnotify.Event) bool {
	end := time.NewTimer(patience)
	defer end.Stop()
	still := time.NewTimer(quiet)
	defer still.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			return true
		case <-still.C:
			return true
		case <-events:
			still.Reset(quiet)
		}
	}
}

// watchDirs makes w watch every directory on the way to paths, and no other. A directory is added
// again even if it is watched: its name may mean another directory by now.
func watchDirs(w *fsnotify.Watcher, paths []string) {
	var dirs []string
	for _, p := range paths {
		dirs = append(dirs, dirsOf(p)...)
	}
	for _, old := range w.WatchList() {
		if !slices.Contains(dirs, old) {
			_ = w.Remove(old) // gone already: nothing to remove
		}
	}
	for _, d := range dirs {
		_ = w.Add(d) // not there or not readable: the poll goes on
	}
}

// dirsOf returns the directories in which a change can give path another content: the one it is in,
// or the nearest above that exists, and the same for every symbolic link on the way.
func dirsOf(path string) []string {
	var dirs []string
	for range 16 { // longer chains of links are taken up by the poll
		dir := filepath.Dir(path)
		for {
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				break
			}
			if up := filepath.Dir(dir); up != dir {
				dir = up
				continue
			}
			break
		}
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		// Where a directory on the way is itself a link, as ..data is in a mounted Secret, the link
		// stands in the directory above it.
		if real, err := filepath.EvalSymlinks(dir); err == nil && real != filepath.Clean(dir) {
			if up := filepath.Dir(dir); !slices.Contains(dirs, up) {
				dirs = append(dirs, up)
			}
		}
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return dirs
}
