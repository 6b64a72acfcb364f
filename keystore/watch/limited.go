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

// inProgress has the operation in progress on each path. It is a variable of the package because threads that hang in the
// kernel belong to the whole process, whoever started them.
var inProgress = struct {
	sync.Mutex
	operations map[string]*operation
}{operations: map[string]*operation{}}

// limited returns the result of run, which does something to the file at path, or ErrTimeout after [Timeout]. Nothing can
// interrupt a system call on a mount that hangs, so after a timeout run goes on in the background. Its result then goes
// to discard, which may be nil. Until run ends, every other operation on the path fails at once, so at most one is left
// hanging.
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

// begin waits for the operation in progress on a path and begins another. It returns nil if that one hangs, or does not
// end before timeout.
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

// end ends the operation and reports whether somebody still waits for its result.
func (o *operation) end(path string) (wanted bool) {
	inProgress.Lock()
	defer inProgress.Unlock()
	delete(inProgress.operations, path)
	close(o.ended)
	return !o.hangs
}

// giveUp stops waiting for the operation. It returns false if the operation has ended, so that there is a result.
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
