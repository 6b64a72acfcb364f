package token

import (
	"context"
	"fmt"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Options are the settings for secrets in a file. The zero value is useful.
type Options struct {
	// Poll is how often the file is checked even without an event. Zero means [watch.Poll].
	Poll time.Duration
	// OnReload is called for every explicit reload, and for a reload of the watch that changed something: the secrets, or
	// a fault that is new or gone. It may be called concurrently.
	OnReload func(Reload)
}

// Reload is the result of reading the file again.
type Reload struct {
	Result watch.Result `json:"result"`
	// Secrets is how many secrets there are now.
	Secrets int `json:"secrets"`
	// Err says what is wrong with the file, if the reload failed.
	Err error `json:"-"`
}

// Open reads the secrets in the file at path. [Secrets.Run] reads it again when it changes. If anything is wrong with the
// file, Open returns an error.
func Open(path string, o Options) (*Secrets, error) {
	s := &Secrets{options: o, file: watch.NewReloader(maxFile, func(contents [][]byte, err error) (*state, error) {
		if err != nil {
			return nil, fmt.Errorf("reading the secrets of browser tokens: %w", err)
		}
		secrets, err := parseSecrets(path, contents[0])
		return newState(secrets), err
	}, path)}
	if r := s.file.Reload(true); r.Err != nil {
		return nil, r.Err
	}
	return s, nil
}

// Run reloads the file when it changes, until ctx is done.
func (s *Secrets) Run(ctx context.Context) {
	if s.file == nil {
		return
	}
	watch.Run(ctx, s.options.Poll, s.file.Paths, func() time.Duration {
		_, retryIn := s.reload(false)
		return retryIn
	})
}

// Reload reads the file now. ok is false if there is no file.
func (s *Secrets) Reload() (r Reload, ok bool) {
	if s.file == nil {
		return r, false
	}
	r, _ = s.reload(true)
	return r, true
}

func (s *Secrets) reload(explicit bool) (Reload, time.Duration) {
	f := s.file.Reload(explicit)
	r := Reload{Result: f.Result, Secrets: len(f.New.keys), Err: f.Err}
	if f.IsNews && s.options.OnReload != nil {
		s.options.OnReload(r)
	}
	return r, f.RetryIn
}

// Fault returns why the file does not apply and the last good secrets still do, or nil if it applies.
func (s *Secrets) Fault() error {
	if s.file == nil {
		return nil
	}
	return s.file.Fault()
}

// IsMounted reports whether the file itself is a mount point, so that a replaced file never appears there.
func (s *Secrets) IsMounted() bool {
	return s.file != nil && watch.IsMountPoint(s.file.Paths()[0])
}
