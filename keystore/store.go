package keystore

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Store holds the active snapshot of a key file, or of a directory of key files. It replaces the snapshot when one of
// these files changes, or the key file of Flowise that one of them names. If a file cannot be read or is not valid, its
// last good content stays active, and only [Status] changes. All methods may be called concurrently; Snapshot and Status
// never wait for a reload.
type Store struct {
	path     string
	opts     Options
	snapshot atomic.Pointer[Snapshot]

	turn  chan struct{} // holds a token while a reload runs; only that reload uses files
	files files

	mu     sync.Mutex
	status Status // guarded by mu; only a reload changes it
}

// Options are the settings of a Store. The zero value is useful.
type Options struct {
	// Poll is how often the files are checked without an event. Zero means [watch.Poll].
	Poll time.Duration
	// Validate is called with a snapshot before it is applied; if it returns an error, the active one stays. It may add
	// to the snapshot's Warnings.
	Validate func(*Snapshot) error
	// Content is the content of the key file, if it was read already, for example from a pipe. Run must not be called on
	// such a store.
	Content []byte
	// MayBeEmpty allows a key file without chatflows, such as one that will be filled in the console. Once the active
	// snapshot has a chatflow, a file without any is a fault.
	MayBeEmpty bool
	// Require names files that a directory of key files must have. If one is missing at the start, that is an error; if
	// one is gone later, its last good content stays active.
	Require []string
	// OnReload is called with every explicit reload, and with each reload by the watch that changed something: a new
	// snapshot, a new fault, or the end of one. It is called during the reload and must not start another.
	OnReload func(Reload)
}

// Open reads the key file at path, or all key files in the directory at path. There is no snapshot to keep yet, so any fault
// is an error.
func Open(path string, opts Options) (*Store, error) {
	s := &Store{path: path, opts: opts, turn: make(chan struct{}, 1)}
	var err error
	if s.files, err = newFiles(path, opts); err != nil {
		return nil, err
	}
	s.status = Status{Path: path, Reloads: map[Result]uint64{}}
	if r := s.Reload(); r.Result != Loaded {
		return nil, r.Err
	}
	return s, nil
}

// Wait is [Open] for a file that may not be valid yet. It tries again when the file changes, until it succeeds or ctx is
// done; in that case it returns the last fault. fault is called with each new fault.
func Wait(ctx context.Context, path string, opts Options, fault func(error)) (*Store, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := Open(path, opts)
	if err == nil {
		return s, nil
	}
	fault(few(err))
	watch.Run(ctx, opts.Poll, func() []string {
		if watch.IsDir(path) {
			return []string{inDirectory(path)}
		}
		return []string{path}
	}, func() time.Duration {
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
	keys := s.path
	if s.files.isDirectory {
		keys = inDirectory(s.path)
	}
	paths := func() []string {
		if flowise := s.Snapshot().flowisePath; flowise != "" {
			return []string{keys, flowise}
		}
		return []string{keys}
	}
	watch.Run(ctx, s.opts.Poll, paths, func() (retryIn time.Duration) {
		_, retryIn = s.reload(false)
		return retryIn
	})
}

// Reload reads the files now and applies them if they are valid. Whoever calls it is assumed to know what is in them, so
// a change that looks like an accident is neither delayed nor refused.
func (s *Store) Reload() Reload {
	r, _ := s.reload(true)
	return r
}

// Refresh reads the files now and applies what has changed, as the watch does: a change that looks like an accident is
// delayed, or is a fault.
func (s *Store) Refresh() Reload {
	r, _ := s.reload(false)
	return r
}

// reload is the only place where a snapshot is published. An explicit reload always reports a fault; one by the watch
// reports it only when it changes. If retryIn is not zero, the files should be read again after that time.
func (s *Store) reload(explicit bool) (r Reload, retryIn time.Duration) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()

	active := s.Snapshot()
	s.files.read(explicit)
	defer s.files.close()
	o := s.files.judge(active, s.validate, time.Now(), explicit)

	r = Reload{Time: o.at, Result: Unchanged, Generation: s.status.Generation}
	if o.next != active {
		r.Result, r.Generation, r.Diff, r.Files = Loaded, r.Generation+1, o.diff, o.applied
		s.publish(o.next, r)
		s.tell(r, true, o.state)
	}
	if o.err != nil { // in a directory, some files may be applied while others have faults: report both
		r.Result, r.Err, r.Diff, r.Files = Failed, o.err, Diff{}, o.faulty
		s.tell(r, explicit || o.isNews, o.state)
	}
	if r.Result == Unchanged && o.retryIn == 0 {
		s.tell(r, explicit, o.state)
	}
	return r, o.retryIn
}

func (s *Store) validate(next *Snapshot) error {
	n := len(next.Warnings)
	next.warnOfMounts()
	next.warnOfReaders()
	if s.opts.Validate == nil {
		return nil
	}
	err := s.opts.Validate(next)
	if err != nil {
		next.Warnings = next.Warnings[:n] // it may be validated again
	}
	return err
}

// warnOfMounts warns about files that are mounted by themselves, which will never change here.
func (s *Snapshot) warnOfMounts() {
	paths := []string{s.flowisePath}
	for _, f := range s.files {
		paths = append(paths, f.Path)
	}
	for _, path := range paths {
		if path != "" && watch.IsMountPoint(path) {
			s.Warnings = append(s.Warnings, path+": this file is mounted by itself (a single-file volume, or a Kubernetes subPath), so changes made outside never arrive here; mount its directory instead")
		}
	}
}

// warnOfReaders warns about files with secrets in plain text that everyone can read.
func (s *Snapshot) warnOfReaders() {
	for _, f := range s.files {
		if f.plain && f.EveryoneReads() {
			s.Warnings = append(s.Warnings, f.Path+": it has secrets in plain text, and every user of this machine can read it; put their digests in place, or run `chmod o-r "+ForShell(f.Path)+"`")
		}
	}
}

func (s *Store) publish(next *Snapshot, r Reload) {
	next.Loaded = r.Time
	next.date(s.Snapshot(), r.Generation)
	s.snapshot.Store(next)
	s.files.applied(next)
}

// inDirectory returns the path to watch for changes in a directory. In a volume of the kubelet it is the link that the
// kubelet swaps; in any other directory it does not exist, which is enough to have the directory watched.
func inDirectory(dir string) string { return filepath.Join(dir, "..data") }
