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
	"strings"
	"sync"
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
// for if it is not zero. It returns when ctx is done, and there is no look after that.
// Both are called from one goroutine. Where the kernel gives no events, the poll goes on alone.
func Run(ctx context.Context, poll time.Duration, paths func() []string, look func() (again time.Duration)) {
	if poll <= 0 {
		poll = Poll
	}
	hints := make(chan struct{}, 1)
	follow := func([]string) {}
	if w, err := fsnotify.NewWatcher(); err == nil {
		var drained sync.WaitGroup
		drained.Go(func() { drain(w, hints) })
		defer drained.Wait()
		defer w.Close()
		follow = func(paths []string) { watchDirs(w, paths) }
	}
	follow(paths())
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-again:
		case <-hints:
			if !settle(ctx, hints) {
				return
			}
		}
		again = nil
		// First watch, then look: what happens before a watch is on its directory is seen by the look
		// after it, and by no event. What look found may have named other files.
		for settled := false; !settled && ctx.Err() == nil; {
			followed := paths()
			follow(followed)
			if d := look(); d > 0 {
				again = time.After(d)
			}
			settled = slices.Equal(followed, paths())
		}
	}
}

// drain turns events, and errors, which may be lost events, into hints until w is closed. It reads all
// the time: w holds a lock while it waits for its reader, and whoever changed what it watches instead
// of reading would wait for ever.
func drain(w *fsnotify.Watcher, hints chan<- struct{}) {
	events, errs := w.Events, w.Errors
	for events != nil || errs != nil {
		select {
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
		case _, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
		}
		select {
		case hints <- struct{}{}:
		default:
		}
	}
}

// settle waits until no hint has come for a moment. It reports whether ctx is still going.
func settle(ctx context.Context, hints <-chan struct{}) bool {
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
		case <-hints:
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

// dirsOf returns the directories in which a change can give path another content: the one in which it
// is, or the nearest above that exists, and that of every symbolic link on the way, as ..data is one
// in a mounted Secret.
func dirsOf(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil // the working directory is gone: the poll goes on
	}
	var dirs []string
	add := func(dir string) {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	dir, rest := "/", strings.Split(strings.Trim(filepath.ToSlash(path), "/"), "/")
	if volume := filepath.VolumeName(path); volume != "" {
		dir, rest = volume+string(filepath.Separator), rest[1:]
	}
	for links := 0; len(rest) > 0; {
		next := filepath.Join(dir, rest[0])
		info, err := os.Lstat(next)
		if err != nil || len(rest) == 1 {
			add(dir)
		}
		if err != nil {
			break
		}
		rest = rest[1:]
		if info.Mode()&os.ModeSymlink == 0 {
			dir = next
			continue
		}
		add(dir)
		target, err := os.Readlink(next)
		if links++; err != nil || links > 40 { // as many as Linux follows
			break
		}
		if filepath.IsAbs(target) {
			dir = string(filepath.Separator)
		}
		rest = append(strings.Split(strings.Trim(filepath.ToSlash(target), "/"), "/"), rest...)
	}
	return dirs
}
