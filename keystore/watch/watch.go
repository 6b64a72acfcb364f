// Package watch reads files that others write. It notices when a file may have changed, tells whether it has, and reads
// only regular files, up to a size limit and within a time limit. A [Reloader] keeps the last valid content of small
// files.
//
// Kernel events are only a hint: network file systems have none, and a watch on a file itself ends when the file is
// replaced. So the directories on the way to the file are watched, a slow poll runs as well, and the content decides.
package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// Poll is how often a file is checked without an event.
	Poll = 2 * time.Second
	// debounce is how long after an event to check: a write is often several events.
	debounce = 50 * time.Millisecond
)

// Run calls check whenever one of the files that paths returns may have changed: shortly after an event in a directory on
// the way to it, every poll (zero means [Poll]), and after the time that check returned if it is not zero. Run returns
// when ctx is done, and calls neither function after that. Both functions are called from one goroutine.
func Run(ctx context.Context, poll time.Duration, paths func() []string, check func() (retryIn time.Duration)) {
	e := events{hints: make(chan struct{}, 1), follow: func([]string) {}}
	if w, err := fsnotify.NewWatcher(); err == nil { // otherwise the poll is enough
		var drained sync.WaitGroup
		drained.Go(func() { drain(w, e.hints) })
		defer drained.Wait()
		defer w.Close()
		e.follow = func(paths []string) {
			// A mount that hangs must not stop the poll. If this fails, the poll is enough.
			_, _ = limited("directories of "+strings.Join(paths, ", "), func() (struct{}, error) { watchDirs(w, paths); return struct{}{}, nil }, nil)
		}
	}
	e.run(ctx, poll, paths, check)
}

// events gives a hint after changes of the files that follow was last called with. Events that come together are one
// hint.
type events struct {
	hints  chan struct{}
	follow func(paths []string)
}

func (e events) run(ctx context.Context, poll time.Duration, paths func() []string, check func() (retryIn time.Duration)) {
	if poll <= 0 {
		poll = Poll
	}
	e.follow(paths())
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var debounced, retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.hints:
			if debounced == nil {
				debounced = time.After(debounce)
			}
			continue
		case <-debounced:
			debounced = nil
		case <-tick.C:
		case <-retry:
		}
		retry = nil
		// Watch first, then check: a change before a directory was watched makes no event, and this
		// check finds it. It may also find that there are other files to follow.
		for others := true; others && ctx.Err() == nil; {
			followed := paths()
			e.follow(followed)
			if d := check(); d > 0 {
				retry = time.After(d)
			}
			others = !slices.Equal(followed, paths())
		}
	}
}

// drain turns events into hints until w is closed. An error is a hint as well, since it may stand for lost events. drain
// must read all the time: w holds a lock while it waits for its reader, and changing what it watches needs that lock.
func drain(w *fsnotify.Watcher, hints chan<- struct{}) {
	for {
		var ok bool
		select {
		case _, ok = <-w.Events:
		case _, ok = <-w.Errors:
		}
		if !ok {
			return
		}
		select {
		case hints <- struct{}{}:
		default:
		}
	}
}

// watchDirs makes w watch every directory on the way to paths, and no other. A directory is added
// again even if it is watched: its name may mean another directory now.
func watchDirs(w *fsnotify.Watcher, paths []string) {
	var watched []string
	// A directory that is made before its parent is watched makes no event, so look again until there is nothing new. If
	// somebody goes on making directories, the poll finds what is missed.
	for range 10 {
		dirs := allDirsOf(paths)
		if watched != nil && slices.Equal(dirs, watched) {
			return
		}
		watchOnly(w, dirs)
		watched = dirs
	}
}

func allDirsOf(paths []string) (dirs []string) {
	for _, p := range paths {
		dirs = append(dirs, dirsOf(p)...)
	}
	return dirs
}

func watchOnly(w *fsnotify.Watcher, dirs []string) {
	for _, old := range w.WatchList() {
		if !slices.Contains(dirs, old) {
			_ = w.Remove(old) // an error means that it is gone
		}
	}
	for _, d := range dirs {
		_ = w.Add(d) // an error means that only the poll looks there
	}
}

// dirsOf returns the directories in which a change can give path another content: the file's own, or the nearest above
// that exists, and the directory of each symbolic link on the way, such as ..data in a mounted Secret.
func dirsOf(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil // the working directory is gone
	}
	var dirs []string
	dir, rest := "/", split(path)
	for links := 0; links <= 40; { // as many as Linux follows
		next := filepath.Join(dir, rest[0])
		target, err := os.Readlink(next)
		switch {
		case err == nil:
			links++
			dirs = append(dirs, dir)
			if filepath.IsAbs(target) {
				dir = "/"
			}
			rest = append(split(target), rest[1:]...)
		case len(rest) > 1 && errors.Is(err, syscall.EINVAL): // not a link
			dir, rest = next, rest[1:]
		default:
			return append(dirs, dir)
		}
	}
	return dirs
}

func split(path string) []string {
	return strings.Split(strings.Trim(path, "/"), "/")
}
