package certificate

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Reload is the result of reading the files of a certificate again.
type Reload struct {
	Name   Name
	Result watch.Result
	// Err says what is wrong with the files, if the reload failed.
	Err error
	// Old and New describe the certificates before and after the reload. They differ only if new files were applied.
	Old, New Info
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

// reload reads all files, applies those that are valid, and returns the results. If retryIn is not zero, reload should be
// called again after that time.
func (s *Store) reload(explicit bool) (all []Reload, retryIn time.Duration) {
	read := make([]watch.Reload[*material], len(s.entries))
	var entries sync.WaitGroup // concurrently: if all files hang, that takes no longer than if one does
	for i, e := range s.entries {
		entries.Go(func() { read[i] = e.files.Reload(explicit) })
	}
	entries.Wait()
	if slices.ContainsFunc(read, func(r watch.Reload[*material]) bool { return r.Result == watch.Loaded }) {
		s.publish()
	}
	for i, r := range read {
		all = append(all, Reload{Name: s.entries[i].name, Result: r.Result, Err: r.Err, Old: r.Old.info, New: r.New.info})
		retryIn = max(retryIn, r.RetryIn)
		if r.IsNews && s.opts.OnReload != nil {
			s.opts.OnReload(all[i])
		}
	}
	return all, retryIn
}

// entry is the certificate of one name.
type entry struct {
	name  Name
	files *watch.Reloader[*material]
}

func newEntry(name Name, s source) *entry {
	e := &entry{name: name}
	e.files = watch.NewReloader(maxFile, func(contents [][]byte, err error) (*material, error) {
		next, err := s.parse(contents, err)
		if err != nil {
			return nil, err
		}
		return next, e.worse(next, s, time.Now())
	}, s.paths()...)
	return e
}

// worse returns an error if next must not replace the active certificate: it cannot be used now, and the active one can.
func (e *entry) worse(next *material, s source, now time.Time) error {
	active := e.files.Value()
	if why := next.invalid(now); why != "" && active != nil && active.invalid(now) == "" {
		return fmt.Errorf("%s: the certificate cannot be used now: %s; replace it by a valid one", s.cert, why)
	}
	return nil
}
