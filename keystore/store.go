package keystore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Store keeps the snapshot of a key file in force and replaces it when the file changes, or the file
// of Flowise's keys that it names. A file that cannot be read or is not valid changes nothing but
// [Status]. All methods may be called concurrently.
type Store struct {
	path string
	opts Options

	snapshot atomic.Pointer[Snapshot]

	mu      sync.Mutex // serializes reloads, which may take seconds; guards what follows
	file    *watch.File
	flowise *watch.File // nil if the key file names none
	keys    flowiseFile // of Flowise, as last read
	good    flowiseFile // of Flowise, as in force
	held    *held       // a change that is waiting to be complete, or nil
	flawed  bool        // the fault, if there is one, is in the bytes of the key file and nowhere else

	statusMu sync.Mutex // held for moments
	status   Status     // changed with both locks held, so either is enough to read it
}

// Options are what a Store can be told. The zero value is useful.
type Options struct {
	// Poll is how often the files are looked at without an event. Zero means [watch.Poll].
	Poll time.Duration
	// Validate is asked about a snapshot before it is put in force; an error keeps the old one.
	// It may add to the snapshot's Warnings.
	Validate func(*Snapshot) error
	// OnReload is told of every reload that somebody asked for, whatever it led to, and of those that
	// the watch made if they changed something: a new snapshot, a new fault, or the end of one.
	// It is called in the middle of a reload and must not ask for one.
	OnReload func(Reload)
}

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

// Wait is Open for a file that may not be in order yet: it looks again when the file changes, until it
// is or ctx is done; then the last fault is the error. fault is told of each new fault.
func Wait(ctx context.Context, path string, opts Options, fault func(error)) (*Store, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := Open(path, opts)
	if err == nil {
		return s, nil
	}
	fault(err)
	watch.Run(ctx, opts.Poll, func() []string { return []string{path} }, func() time.Duration {
		was := err
		if s, err = Open(path, opts); err == nil {
			stop()
		} else if err.Error() != was.Error() {
			fault(err)
		}
		return 0
	})
	return s, err
}

// Snapshot returns the snapshot in force. It is never nil.
func (s *Store) Snapshot() *Snapshot { return s.snapshot.Load() }

// Run reloads the files when they change, until ctx is done.
func (s *Store) Run(ctx context.Context) {
	paths := func() []string {
		if flowise := s.Snapshot().flowisePath; flowise != "" {
			return []string{s.path, flowise}
		}
		return []string{s.path}
	}
	watch.Run(ctx, s.opts.Poll, paths, func() (again time.Duration) {
		_, again = s.look(false)
		return again
	})
}

// Reload looks at the files now and puts them in force if they are valid. Somebody who asks is taken
// to know what is there: a change that looks like an accident is not waited for or refused.
func (s *Store) Reload() Reload {
	r, _ := s.look(true)
	return r
}

// settled is how long a file that is being written in place must have rested before a change is
// believed that takes something away, or is a fault. A writer that pauses in the middle leaves a
// file that may well be valid and lack half of the keys.
const settled = 1500 * time.Millisecond

// look is the one way by which keys come into force. Asked for by somebody, a fault is reported
// again; found by the watch, only when it is new. With again, look should be called after that time.
func (s *Store) look(asked bool) (r Reload, again time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r = Reload{Time: time.Now(), Result: Unchanged, Generation: s.status.Generation}
	content, next, err := s.load()
	was := s.held
	s.held = nil
	if next != nil && err == nil {
		var cut bool
		r.Diff, cut = compare(s.Snapshot(), next)
		if again, err = s.doubt(next, cut && !asked, was); err == nil && again == 0 {
			err = s.admit(next)
		}
	}
	if err != nil && !asked && s.status.Err == nil {
		again = s.rest(nil, was)
	}
	if again > 0 {
		r.Diff = Diff{}
		return r, again
	}
	switch {
	case err != nil:
		if s.status.Generation > 0 { // Open returns all
			err = few(err)
		}
		again = s.withoutFlowise(content, asked, was)
		r.Result, r.Err, r.Diff, r.Generation = Failed, err, Diff{}, s.status.Generation
		fresh := s.status.Err == nil || s.status.Err.Error() != err.Error()
		s.record(r, fresh || asked, func(st *Status) { st.Stale, st.Err = true, err })
	case next != nil:
		s.good = s.keys
		s.put(next, &r, func(st *Status) { st.Stale, st.Err, st.LastSuccess = false, nil, r.Time })
	default:
		s.record(r, asked, func(st *Status) { st.LastSuccess = r.Time })
	}
	return r, again
}

// doubt returns how much longer next should rest, if it is cut: if it may be a part of what is in force. What
// has rested may still be what Flowise leaves when it has lost its keys, and that is an error.
func (s *Store) doubt(next *Snapshot, cut bool, was *held) (again time.Duration, err error) {
	if !cut {
		return 0, nil
	}
	if again = s.rest(next, was); again > 0 {
		return again, nil
	}
	if wasReset(s.Snapshot(), next) {
		err = fmt.Errorf("%s: Flowise has lost its keys and made a fresh %s, so its old keys stay in force; if that was meant, reload by SIGHUP or POST /-/reload, and if not, put the file back", next.flowisePath, flowiseDefault)
	}
	return 0, err
}

// put puts next in force, completes the record of it and has change complete the status.
func (s *Store) put(next *Snapshot, r *Reload, change func(*Status)) {
	r.Result, r.Generation = Loaded, s.status.Generation+1
	next.Loaded = r.Time
	next.date(s.Snapshot(), r.Generation)
	s.snapshot.Store(next)
	s.record(*r, true, func(st *Status) {
		st.Generation = r.Generation
		change(st)
	})
}

// held is a change that has to rest.
type held struct {
	next  *Snapshot // nil for a fault
	since time.Time // when it was first seen
}

// rest returns how much longer next should rest, which is cut, or a fault if it is nil, and holds it for so
// long. A file that is written over and over in place never rests, so it is enough if what it says
// does, or if it has nothing but faults; was is what was held at the last look.
func (s *Store) rest(next *Snapshot, was *held) time.Duration {
	rest := s.unsettled(next == nil)
	if rest <= 0 {
		return 0
	}
	if was == nil || (was.next == nil) != (next == nil) || next != nil && !Compare(was.next, next).Empty() {
		was = &held{next, time.Now()}
	}
	if rest = min(rest, settled-time.Since(was.since)); rest <= 0 {
		return 0
	}
	s.held = was
	return rest
}

// unsettled returns how much longer a change of the files should rest. Flowise's file is JSON, of which
// no part is valid, so it has to rest only for a fault.
func (s *Store) unsettled(fault bool) time.Duration {
	var rest time.Duration
	if s.file.InPlace() {
		rest = settled - s.file.Age()
	}
	if fault && s.flowise != nil && s.flowise.InPlace() {
		rest = max(rest, settled-s.flowise.Age())
	}
	return rest
}

// load reads and checks the files. Without a change there is no snapshot. content is that of the key file,
// nil if it was not read.
func (s *Store) load() (content []byte, next *Snapshot, err error) {
	content, changed, err := s.file.Read()
	if err != nil {
		return nil, nil, ReadError(s.path, err)
	}
	var keys []byte
	if s.flowise != nil {
		var other bool
		if keys, other, err = s.flowise.Read(); err != nil {
			keys = nil // reported with its place by the parser, which reads it again
		}
		changed = changed || other || err != nil
	}
	if !changed && s.held == nil && (s.status.Err == nil || s.flawed) {
		return nil, nil, s.status.Err
	}
	// New bytes, or those of a change that was held, or of a fault that may have its cause outside
	// the file and be over.
	if content == nil {
		if content, err = s.file.Content(); err != nil {
			return nil, nil, ReadError(s.path, err)
		}
	}
	next, err = s.parse(content, func(path string) ([]byte, error) {
		if s.flowise == nil || s.flowise.Path() != path {
			s.flowise, keys = watch.NewFile(path), nil
		}
		var err error
		if keys == nil {
			if keys, _, err = s.flowise.Read(); err == nil && keys == nil {
				keys, err = s.flowise.Content()
			}
		}
		s.keys = flowiseFile{path, keys}
		return keys, err
	})
	if err == nil && next.flowisePath == "" {
		s.flowise, s.keys = nil, flowiseFile{}
	}
	s.flawed = err != nil && s.flowise == nil
	return content, next, err
}

// parse makes a snapshot of the key file's content, with what flowise reads of Flowise's.
func (s *Store) parse(content []byte, flowise func(path string) ([]byte, error)) (*Snapshot, error) {
	if len(content) >= plainFrom {
		defer collectLess()()
	}
	return parse(s.path, content, parseOptions{plainFrom: plainFrom, flowise: flowise})
}

// admit looks at a snapshot that is about to come into force, once: it tells the operator of it.
func (s *Store) admit(next *Snapshot) error {
	next.warnOfMounts()
	if s.opts.Validate == nil {
		return nil
	}
	return s.opts.Validate(next)
}

// collectLess lets the garbage collector run as seldom as by default while a large file is read, in
// case it was told to run more often: nearly all that is read then stays, so there is little to find.
func collectLess() (restore func()) {
	const byDefault = 100
	was := debug.SetGCPercent(byDefault)
	if was < 0 || was > byDefault {
		debug.SetGCPercent(was)
	}
	return func() { debug.SetGCPercent(was) }
}

// warnOfMounts warns of files whose replacements never arrive.
func (s *Snapshot) warnOfMounts() {
	for _, path := range []string{s.File, s.flowisePath} {
		if path != "" && watch.IsMountPoint(path) {
			s.Warnings = append(s.Warnings, path+": this file is mounted by itself (a single-file volume, or a Kubernetes subPath), so changes made outside never arrive here; mount its directory instead")
		}
	}
}

// ReadError says what to do if the key file at path cannot be read.
func ReadError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading key file %q: it does not exist; name another with --keys, or make it with `flowlatch key new`", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("reading key file %q: permission denied; the user that runs flowlatch must be able to read it and enter its directory", path)
	}
	return fmt.Errorf("reading key file %q: %w", path, err)
}
