package certificate

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Result is how a reload ended.
type Result string

// How a reload can end.
const (
	Loaded    Result = "success"   // the files apply from now on
	Unchanged Result = "unchanged" // the files apply already
	Failed    Result = "failure"   // the last good files still apply
)

// Reload is the result of reading the files of a certificate again.
type Reload struct {
	Name   Name
	Result Result
	// Err says what is wrong with the files. It is nil unless Result is Failed.
	Err error
	// Old and New are the certificates before and after the reload. They differ only if Result is Loaded.
	Old, New Info

	report bool // to OnReload
}

// Run reloads the files when they change, until ctx is done.
func (s *Store) Run(ctx context.Context) {
	if len(s.entries) == 0 {
		return
	}
	watch.Run(ctx, s.opts.Poll, s.paths, func() time.Duration {
		_, retryIn := s.reload(false)
		return retryIn
	})
}

// Reload reads all files now and applies those that are valid.
func (s *Store) Reload() []Reload {
	all, _ := s.reload(true)
	return all
}

// reload reads all files, applies what is valid and reports the results. If retryIn is not zero, it should be called
// again after that time.
func (s *Store) reload(explicit bool) (all []Reload, retryIn time.Duration) {
	all, retryIn, ok := s.apply(s.read(), explicit)
	for !ok {
		all, retryIn, ok = s.apply(s.read(), explicit)
	}
	for _, r := range all {
		if r.report && s.opts.OnReload != nil {
			s.opts.OnReload(r)
		}
	}
	return all, retryIn
}

// reading is the content of all files at a time.
type reading struct {
	number   int64 // increases with time
	contents []content
}

func (s *Store) read() reading {
	r := reading{number: s.readings.Add(1), contents: make([]content, len(s.entries))}
	var all sync.WaitGroup
	for i, e := range s.entries { // at once, as in source.read
		all.Go(func() { r.contents[i] = e.source.read() })
	}
	all.Wait()
	return r
}

// apply applies what is valid. ok is false if a later reading was applied already. Files are read without the lock, so
// that a file system that does not respond holds up nobody else.
func (s *Store) apply(r reading, explicit bool) (all []Reload, retryIn time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.number < s.applied {
		return nil, 0, false
	}
	s.applied = r.number
	now := time.Now()
	for i, e := range s.entries {
		r, wait := e.apply(r.contents[i], explicit, now)
		all, retryIn = append(all, r), max(retryIn, wait)
	}
	if slices.ContainsFunc(all, func(r Reload) bool { return r.Result == Loaded }) {
		s.publish()
	}
	return all, retryIn, true
}

// settleTime is how long a fault must last before the watch reports it. The two files of a pair are written one after
// the other, and do not match in between.
const settleTime = 1500 * time.Millisecond

// apply decides whether the content of the files replaces the active certificate, and whether to report that. If retryIn
// is not zero, a fault may be gone after that time.
func (e *entry) apply(c content, explicit bool, now time.Time) (r Reload, retryIn time.Duration) {
	r = Reload{Name: e.name, Result: Unchanged, Old: e.active.info, New: e.active.info}
	var next *material
	err := c.err
	if err == nil && c.digest() != e.active.digest {
		if next, err = e.source.parse(c); err == nil {
			err = e.worse(next, now)
		}
	}
	if err != nil {
		if e.faultSince.IsZero() {
			e.faultSince = now
		}
		if left := settleTime - now.Sub(e.faultSince); left > 0 && !explicit && e.fault == nil {
			return r, left
		}
		r.report = explicit || e.fault == nil || e.fault.Error() != err.Error()
		e.fault, r.Result, r.Err = err, Failed, err
		return r, 0
	}
	r.report = explicit || next != nil || e.fault != nil
	if next != nil {
		e.active, r.Result, r.New = next, Loaded, next.info
	}
	e.fault, e.faultSince = nil, time.Time{}
	return r, 0
}

// worse returns why next must not replace the active certificate: it cannot be used now, and the active one can.
func (e *entry) worse(next *material, now time.Time) error {
	if why := next.invalid(now); why != "" && e.active.invalid(now) == "" {
		return fmt.Errorf("%s: the certificate cannot be used now: %s; replace it by a valid one", e.source.cert, why)
	}
	return nil
}
