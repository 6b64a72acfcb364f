package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Options are the settings of secrets in a file. The zero value is useful.
type Options struct {
	// Poll is how often the file is looked at without an event. Zero means [watch.Poll].
	Poll time.Duration
	// OnReload is told of every explicit reload, and of those of the watch that changed something: the secrets, or a fault
	// that is new or gone. It must not ask for another.
	OnReload func(Reload)
}

// Reload is the result of reading the file again.
type Reload struct {
	Result Result `json:"result"`
	// Secrets is how many there are now.
	Secrets int `json:"secrets"`
	// Err says what is wrong with the file, for Failed.
	Err error `json:"-"`
}

// Result is how a reload ended.
type Result string

// How a reload can end.
const (
	Loaded    Result = "success"   // the secrets of the file apply from now on
	Unchanged Result = "unchanged" // they apply already
	Failed    Result = "failure"   // the last good ones still apply
)

// settleTime is how long a file that is written in place must be unchanged before it is applied: it may lack a secret still.
const settleTime = 1500 * time.Millisecond

// source is the file that secrets come from.
type source struct {
	options Options
	turn    chan struct{} // has room for one reload, which alone uses file and active
	file    *watch.File
	active  [sha256.Size]byte // of the content that applies

	mu    sync.Mutex
	fault error // as it was reported; nil if the file applies; guarded by mu
}

// Open reads the secrets in the file at path. [Secrets.Run] reads it again when it changes. Anything that is wrong with it
// is an error.
func Open(path string, o Options) (*Secrets, error) {
	s := &Secrets{source: &source{options: o, turn: make(chan struct{}, 1), file: watch.NewFile(path, maxFile)}}
	secrets, err := s.source.read()
	if err != nil {
		return nil, err
	}
	s.apply(secrets)
	return s, nil
}

func (s *Secrets) apply(secrets [][]byte) {
	s.source.active = s.source.file.Digest()
	s.state.Store(newState(secrets))
}

// read returns the secrets in the file, or nil if they apply already.
func (f *source) read() ([][]byte, error) {
	content, _, err := f.file.Open()
	if err != nil {
		return nil, fmt.Errorf("reading the secrets of browser tokens: %w", err)
	}
	data, err := io.ReadAll(content)
	if err = errors.Join(err, content.Close()); err != nil {
		return nil, fmt.Errorf("reading the secrets of browser tokens: %w", err)
	}
	if f.file.Digest() == f.active {
		return nil, nil
	}
	return parseSecrets(f.file.Path(), data)
}

// Run reloads the file when it changes, until ctx is done.
func (s *Secrets) Run(ctx context.Context) {
	if s.source == nil {
		return
	}
	paths := []string{s.source.file.Path()}
	watch.Run(ctx, s.source.options.Poll, func() []string { return paths }, func() time.Duration {
		_, retryIn := s.reload(false)
		return retryIn
	})
}

// Reload reads the file now. ok is false where there is none.
func (s *Secrets) Reload() (r Reload, ok bool) {
	if s.source == nil {
		return r, false
	}
	r, _ = s.reload(true)
	return r, true
}

// Fault returns why the file does not apply, so that its last good secrets do; nil if it does.
func (s *Secrets) Fault() error {
	if s.source == nil {
		return nil
	}
	s.source.mu.Lock()
	defer s.source.mu.Unlock()
	return s.source.fault
}

// IsMounted reports whether the file is a mount point itself, so that a new one never appears there.
func (s *Secrets) IsMounted() bool {
	return s.source != nil && watch.IsMountPoint(s.source.file.Path())
}

// reload reads the file and applies what is valid. If retryIn is not zero, it should be read again after that time.
func (s *Secrets) reload(explicit bool) (r Reload, retryIn time.Duration) {
	f := s.source
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	secrets, err := f.read()
	if (secrets != nil || err != nil) && !explicit && f.file.InPlace() {
		if retryIn = settleTime - f.file.Age(); retryIn > 0 {
			return Reload{Result: Unchanged, Secrets: len(s.state.Load().keys)}, retryIn
		}
	}
	r.Result = Unchanged
	switch {
	case err != nil:
		r.Result, r.Err = Failed, err
	case secrets != nil:
		s.apply(secrets)
		r.Result = Loaded
	}
	r.Secrets = len(s.state.Load().keys)
	f.mu.Lock()
	last := f.fault
	f.fault = err
	f.mu.Unlock()
	isNews := r.Result == Loaded || (err == nil) != (last == nil) || err != nil && err.Error() != last.Error()
	if (explicit || isNews) && f.options.OnReload != nil {
		f.options.OnReload(r)
	}
	return r, 0
}
