package watch

import (
	"errors"
	"io/fs"
	"sync"
	"time"
)

// Timeout is how long a file system may take to open a file, or to read a part of one.
const Timeout = 5 * time.Second

// ErrTimeout is the error for a file system that does not respond within [Timeout].
var ErrTimeout = errors.New("the file system has not responded for " + Timeout.String() + "; is it on a mount that hangs?")

// operation is something that is being done to a file.
type operation struct {
	ended chan struct{}
	hangs bool // nobody waits for it any more; guarded by inProgress
}

// inProgress has the operation on each path that has one. It is a variable of the package because threads that hang in
// the kernel are the process's, whoever asked for them.
var inProgress = struct {
	sync.Mutex
	operations map[string]*operation
}{operations: map[string]*operation{}}

// limited returns the result of run, which does something to the file at path, or ErrTimeout after [Timeout]. Nothing can
// interrupt a system call on a mount that hangs. So run goes on alone then, its result goes to discard, which may be nil,
// and until it ends every other operation on the path fails at once: at most one is left hanging.
func limited[T any](path string, run func() (T, error), discard func(T)) (v T, err error) {
	return within(Timeout, path, run, discard)
}

// within is limited with another timeout.
func within[T any](limit time.Duration, path string, run func() (T, error), discard func(T)) (v T, err error) {
	type result struct {
		v   T
		err error
	}
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	o := begin(path, timeout.C)
	if o == nil {
		return v, timeoutError(path)
	}
	results := make(chan result, 1)
	go func() {
		v, err := run()
		if wanted := o.end(path); wanted {
			results <- result{v, err}
		} else if err == nil && discard != nil {
			discard(v)
		}
	}()
	var r result
	select {
	case r = <-results:
	case <-timeout.C:
		if o.giveUp() {
			return v, timeoutError(path)
		}
		r = <-results // it has ended just now
	}
	return r.v, r.err
}

// begin waits for the operation in progress on a path and begins another. It returns nil if that one hangs.
func begin(path string, timeout <-chan time.Time) *operation {
	for {
		inProgress.Lock()
		other := inProgress.operations[path]
		if other == nil {
			o := &operation{ended: make(chan struct{})}
			inProgress.operations[path] = o
			inProgress.Unlock()
			return o
		}
		hangs := other.hangs
		inProgress.Unlock()
		if hangs {
			return nil
		}
		select {
		case <-other.ended:
		case <-timeout:
			return nil
		}
	}
}

// end reports whether somebody waits for the result.
func (o *operation) end(path string) (wanted bool) {
	inProgress.Lock()
	defer inProgress.Unlock()
	delete(inProgress.operations, path)
	close(o.ended)
	return !o.hangs
}

// giveUp reports whether the operation goes on without anybody waiting for it; false if it has ended.
func (o *operation) giveUp() bool {
	inProgress.Lock()
	defer inProgress.Unlock()
	select {
	case <-o.ended:
		return false
	default:
		o.hangs = true
		return true
	}
}

func timeoutError(path string) error { return &fs.PathError{Op: "read", Path: path, Err: ErrTimeout} }
