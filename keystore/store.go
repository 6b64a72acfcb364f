package keystore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Store holds the active snapshot of a key file and replaces it when the file changes, or the key file of Flowise that it
// names. A file that cannot be read or is not valid changes nothing but [Status]. All methods may be called
// concurrently, and none of Snapshot and Status waits for a reload.
type Store struct {
	path     string
	opts     Options
	snapshot atomic.Pointer[Snapshot]

	turn     chan struct{} // has room for one reload, which alone uses what follows
	files    files
	previous previous

	mu     sync.Mutex
	status Status // guarded by mu; only a reload changes it
}

// Options are the settings of a Store. The zero value is useful.
type Options struct {
	// Poll is how often the files are looked at without an event. Zero means [watch.Poll].
	Poll time.Duration
	// Validate is asked about a snapshot before it is applied; an error keeps the active one.
	// It may add to the snapshot's Warnings.
	Validate func(*Snapshot) error
	// Content is the content of the key file, if it was read already, as from a pipe. Such a store is not for Run.
	Content []byte
	// MayBeEmpty lets the key file list no chatflow, as one that a console is to fill. Once it lists one, a file that does not
	// is a fault.
	MayBeEmpty bool
	// OnReload is told of every explicit reload, and of those of the watch that changed something: a new
	// snapshot, a new fault, or the end of one. It is called during a reload and must not ask for another.
	OnReload func(Reload)
}

// Open reads the key file at path. There is no snapshot to keep yet, so any fault is an error.
func Open(path string, opts Options) (*Store, error) {
	s := &Store{path: path, opts: opts, turn: make(chan struct{}, 1), files: files{keys: watch.NewFile(path, MaxFile)}}
	if opts.Content != nil {
		s.files.keys = watch.Fixed(path, opts.Content)
	}
	s.status = Status{Path: path, Reloads: map[Result]uint64{}}
	if r := s.Reload(); r.Result != Loaded {
		return nil, r.Err
	}
	return s, nil
}

// Wait is Open for a file that may not be valid yet: it tries again when the file changes, until it succeeds or ctx is
// done; then the last fault is the error. fault is told of each new fault.
func Wait(ctx context.Context, path string, opts Options, fault func(error)) (*Store, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := Open(path, opts)
	if err == nil {
		return s, nil
	}
	fault(few(err))
	watch.Run(ctx, opts.Poll, func() []string { return []string{path} }, func() time.Duration {
		was := err
		if s, err = Open(path, opts); err == nil {
			stop()
		} else if err.Error() != was.Error() {
			fault(few(err))
		}
		return 0
	})
	return s, err
}

// Snapshot returns the active snapshot. It is never nil.
func (s *Store) Snapshot() *Snapshot { return s.snapshot.Load() }

// Run reloads the files when they change, until ctx is done.
func (s *Store) Run(ctx context.Context) {
	paths := func() []string {
		if flowise := s.Snapshot().flowisePath; flowise != "" {
			return []string{s.path, flowise}
		}
		return []string{s.path}
	}
	watch.Run(ctx, s.opts.Poll, paths, func() (retryIn time.Duration) {
		_, retryIn = s.reload(false)
		return retryIn
	})
}

// Reload reads the files now and applies them if they are valid. Whoever asks for it is taken to know what is in
// them: a change that looks like an accident is neither delayed nor refused.
func (s *Store) Reload() Reload {
	r, _ := s.reload(true)
	return r
}

// reload is the only place where a snapshot is published. An explicit reload always reports a fault; one of the watch
// reports it only when it changes. If retryIn is not zero, the files should be looked at again after that time.
func (s *Store) reload(explicit bool) (r Reload, retryIn time.Duration) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()

	active := s.Snapshot()
	s.files.draft = s.opts.MayBeEmpty && (active == nil || len(active.Chatflows()) == 0)
	next, err := s.files.read(explicit)
	c := s.compare(next, err, time.Now())
	v := judge(c, s.previous, explicit)
	if v.apply {
		if err := s.validate(c.next); err != nil {
			c.next, c.err = nil, errors.Join(c.err, err)
			v = judge(c, s.previous, explicit)
		}
	}

	r = Reload{Time: c.at, Result: Unchanged, Generation: s.status.Generation}
	if v.apply {
		r.Result, r.Generation, r.Diff = Loaded, r.Generation+1, c.diff
		s.publish(c.next, r)
		s.tell(r, true, c.err != nil)
	}
	if v.err != nil {
		r.Result, r.Err, r.Diff = Failed, v.err, Diff{}
		s.tell(r, explicit || v.isNews, false)
	}
	if r.Result == Unchanged && v.retryIn == 0 {
		s.tell(r, explicit, false)
	}
	s.previous = v.previous
	return r, v.retryIn
}

// compare says what change the files are for the active snapshot.
func (s *Store) compare(next *Snapshot, err error, at time.Time) change {
	c := change{at: at, err: err}
	if next != nil {
		c.err = next.flowiseFault
		if active := s.Snapshot(); next != active {
			c.next = next
			c.diff, c.isSuspect = compare(active, next)
		}
	}
	if s.status.Generation > 0 { // Open returns all faults
		c.err = few(c.err)
	}
	c.keysHold, c.anyHold = s.files.holds()
	return c
}

func (s *Store) validate(next *Snapshot) error {
	n := len(next.Warnings)
	next.warnOfMounts()
	if s.opts.Validate == nil {
		return nil
	}
	err := s.opts.Validate(next)
	if err != nil {
		next.Warnings = next.Warnings[:n] // it may be validated again
	}
	return err
}

// warnOfMounts warns of files that will never change here.
func (s *Snapshot) warnOfMounts() {
	for _, path := range []string{s.File, s.flowisePath} {
		if path != "" && watch.IsMountPoint(path) {
			s.Warnings = append(s.Warnings, path+": this file is mounted by itself (a single-file volume, or a Kubernetes subPath), so changes made outside never arrive here; mount its directory instead")
		}
	}
}

func (s *Store) publish(next *Snapshot, r Reload) {
	next.Loaded = r.Time
	next.date(s.Snapshot(), r.Generation)
	s.snapshot.Store(next)
	if next.flowiseFault == nil {
		s.files.keepFlowise()
	}
}
