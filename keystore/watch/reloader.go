package watch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// SettleTime is how long content that may be half written must stay unchanged before the watch applies it, or reports a
// fault in it: a file that is written in place, or files that are replaced one after the other.
const SettleTime = 1500 * time.Millisecond

// Reloader keeps the last valid content of one small file, or of several that belong together. All methods may be called
// concurrently; Value and Fault never wait for a reload.
type Reloader[T any] struct {
	parse func(contents [][]byte, err error) (T, error)
	state atomic.Pointer[state[T]]

	turn       chan struct{} // holds a token while a reload runs; only that reload uses the fields below
	files      []*File
	faultSince time.Time // when the files were first found invalid; zero if they are not
}

type state[T any] struct {
	value  T
	digest [sha256.Size]byte // of the files that value was made from; zero if there is none yet
	fault  error             // as it was reported
}

// Result is how a reload ended.
type Result string

// How a reload can end.
const (
	Loaded    Result = "success"   // what the files hold applies from now on
	Unchanged Result = "unchanged" // it applies already, or may be half written
	Failed    Result = "failure"   // the last good content still applies
)

// Reload is the result of reading files again.
type Reload[T any] struct {
	Result Result
	// Err says what is wrong with the files, for Failed.
	Err error
	// Old and New are the values before and after. They differ only if Result is Loaded.
	Old, New T
	// IsNews says that somebody should be told: the reload is explicit, the value is new, or a fault is new or gone.
	IsNews bool
	// RetryIn is how long to wait before reading the files again, if they may be half written; zero if not.
	RetryIn time.Duration
}

// NewReloader returns a Reloader of the files at paths, of at most limit bytes each. It does not read them yet. parse
// makes a value from their contents, which are in the order of paths, or returns what is wrong with them; err is why they
// could not be read, or nil. parse is called for one reload at a time.
func NewReloader[T any](limit int64, parse func(contents [][]byte, err error) (T, error), paths ...string) *Reloader[T] {
	r := &Reloader[T]{parse: parse, turn: make(chan struct{}, 1)}
	for _, path := range paths {
		r.files = append(r.files, NewFile(path, limit))
	}
	r.state.Store(&state[T]{})
	return r
}

// Value returns the value that applies: the zero value until the files have been valid once.
func (r *Reloader[T]) Value() T { return r.state.Load().value }

// Fault returns why the files do not apply, as it was reported; nil if they do.
func (r *Reloader[T]) Fault() error { return r.state.Load().fault }

// Paths returns the paths of the files.
func (r *Reloader[T]) Paths() (paths []string) {
	for _, f := range r.files {
		paths = append(paths, f.path)
	}
	return paths
}

// Reload reads the files and applies them if they are valid. Content that may be half written waits, unless the reload is
// explicit, or nothing applies yet.
func (r *Reloader[T]) Reload(explicit bool) Reload[T] {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	was := r.state.Load()
	next, result := *was, Unchanged
	next.fault = nil
	contents, digest, err := r.read()
	if err != nil || digest != was.digest {
		var value T
		if value, next.fault = r.parse(contents, err); next.fault != nil {
			result = Failed
		} else {
			next.value, next.digest, result = value, digest, Loaded
		}
	}
	if next.fault == nil {
		r.faultSince = time.Time{}
	} else if r.faultSince.IsZero() {
		r.faultSince = time.Now()
	}
	if hold := r.hold(result, was.fault != nil); hold > 0 && !explicit && was.digest != [sha256.Size]byte{} {
		return Reload[T]{Result: Unchanged, Old: was.value, New: was.value, RetryIn: hold}
	}
	r.state.Store(&next)
	isNews := explicit || result == Loaded || fmt.Sprint(next.fault) != fmt.Sprint(was.fault)
	return Reload[T]{Result: result, Err: next.fault, Old: was.value, New: next.value, IsNews: isNews}
}

// read returns what the files hold, and a digest of it.
func (r *Reloader[T]) read() (contents [][]byte, digest [sha256.Size]byte, err error) {
	contents = make([][]byte, len(r.files))
	errs := make([]error, len(r.files))
	var all sync.WaitGroup // at once: if all hang, that takes no longer than if one does
	for i, f := range r.files {
		all.Go(func() { contents[i], errs[i] = f.Read() })
	}
	all.Wait()
	h := sha256.New()
	for _, f := range r.files {
		h.Write(f.digest[:])
	}
	h.Sum(digest[:0])
	return contents, digest, errors.Join(errs...)
}

// hold returns how much longer the files must stay as they are; zero or less if they need not.
func (r *Reloader[T]) hold(result Result, isReported bool) (hold time.Duration) {
	switch {
	case result == Failed && !isReported:
		return SettleTime - time.Since(r.faultSince)
	case result == Loaded:
		for _, f := range r.files {
			if f.InPlace() {
				hold = max(hold, SettleTime-f.Age())
			}
		}
	}
	return hold
}
