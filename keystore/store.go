package keystore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Store keeps the snapshot of a key file in force and replaces it when the file changes. A file that
// cannot be read or is not valid changes nothing but [Status].
// All methods may be called concurrently.
type Store struct {
	path string
	opts Options

	snapshot atomic.Pointer[Snapshot]

	mu     sync.Mutex // serializes Reload; guards what follows
	file   *watch.File
	status Status
}

// Options are what a Store can be told. The zero value is useful.
type Options struct {
	// Poll is how often the file is looked at without an event. Zero means [watch.Poll].
	Poll time.Duration
	// Validate is asked about a snapshot before it is put in force; an error keeps the old one.
	// It may add to the snapshot's Warnings.
	Validate func(*Snapshot) error
	// OnReload is told of every reload that changed something: a new snapshot, a new fault, or the
	// end of one. It is called with the store locked and must not call it.
	OnReload func(Reload)
}

// Reload is what one look at the key file led to.
type Reload struct {
	Time   time.Time
	Result Result
	// Err says what is wrong with the file, for Failed.
	Err error
	// Generation counts the snapshots put in force, from 1.
	Generation uint64
	// Diff is what changed, for Loaded.
	Diff
}

// Result is how a reload ended.
type Result string

// How a reload can end. Each is a value of the metric's label.
const (
	Loaded    Result = "success"   // a new snapshot is in force
	Unchanged Result = "unchanged" // the file is what is in force
	Failed    Result = "failure"   // the old snapshot stays in force
)

// Status is what an operator wants to know of a store.
type Status struct {
	Path       string
	Generation uint64
	// Stale says that the file is not what is in force, and Err why.
	Stale bool
	Err   error
	// LastSuccess is when the file was last found to be what is in force.
	LastSuccess time.Time
	// Reloads counts looks at the file that had a result worth counting.
	Reloads map[Result]uint64
	// Recent are the last reloads that changed something, newest first.
	Recent []Reload
}

const recentReloads = 10

// Open reads the key file at path. Whatever is wrong with it is an error: there is no snapshot to
// fall back on yet.
func Open(path string, opts Options) (*Store, error) {
	s := &Store{path: path, opts: opts, file: watch.NewFile(path)}
	s.status = Status{Path: path, Reloads: map[Result]uint64{}}
	if r := s.Reload(); r.Result != Loaded {
		return nil, r.Err
	}
	return s, nil
}

// Snapshot returns the snapshot in force. It is never nil.
func (s *Store) Snapshot() *Snapshot { return s.snapshot.Load() }

// Status returns the state of the store. The maps and slices in it are the caller's.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Reloads = maps.Clone(st.Reloads)
	st.Recent = slices.Clone(st.Recent)
	return st
}

// Run reloads the file when it changes, until ctx is done.
func (s *Store) Run(ctx context.Context) {
	watch.Run(ctx, s.opts.Poll, func() { s.look(false) }, s.path)
}

// Reload looks at the file now and puts it in force if it is valid.
func (s *Store) Reload() Reload { return s.look(true) }

// look is the one way by which a key file comes into force. Asked for by somebody, a fault is
// reported again; found by the poll, only when it is new.
func (s *Store) look(asked bool) Reload {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Reload{Time: time.Now(), Result: Unchanged, Generation: s.status.Generation}
	next, changed, err := s.load()
	switch {
	case err != nil:
		r.Result, r.Err = Failed, err
		fresh := s.status.Err == nil || s.status.Err.Error() != err.Error()
		s.status.Stale, s.status.Err = true, err
		if fresh || asked {
			s.record(r)
		}
	case changed:
		old := s.snapshot.Swap(next)
		s.status.Generation++
		r.Result, r.Generation, r.Diff = Loaded, s.status.Generation, diff(old, next)
		s.status.Stale, s.status.Err, s.status.LastSuccess = false, nil, r.Time
		s.record(r)
	case s.status.Err == nil:
		s.status.LastSuccess = r.Time
		if asked {
			s.record(r)
		}
	}
	return r
}

func (s *Store) record(r Reload) {
	s.status.Reloads[r.Result]++
	s.status.Recent = slices.Insert(s.status.Recent, 0, r)
	s.status.Recent = s.status.Recent[:min(len(s.status.Recent), recentReloads)]
	if s.opts.OnReload != nil && r.Generation > 0 { // Open returns its own fault
		s.opts.OnReload(r)
	}
}

// load reads and checks the file. Without a change there is no snapshot.
func (s *Store) load() (next *Snapshot, changed bool, err error) {
	content, changed, err := s.file.Read()
	if err != nil {
		return nil, false, readError(s.path, err)
	}
	if !changed && (s.status.Err == nil || content == nil) {
		return nil, false, s.status.Err
	}
	// New bytes, or those of a fault that may have its cause outside the file and be over.
	if next, err = Parse(s.path, content); err == nil && s.opts.Validate != nil {
		err = s.opts.Validate(next)
	}
	return next, true, err
}

// readError says what cannot be read and what to look at.
func readError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading key file %q: it does not exist; name another with --keys, or make it with `flowlatch key new`", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("reading key file %q: permission denied; the user that runs flowlatch must be able to read it and enter its directory", path)
	}
	return fmt.Errorf("reading key file %q: %w", path, err)
}
