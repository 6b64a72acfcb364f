package certificate

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Files name what there is, by path. An empty path means none; a certificate and its key come together.
type Files struct {
	ServerCert, ServerKey     string
	ClientCA                  string
	UpstreamCert, UpstreamKey string
	UpstreamCA                string
}

// Options are what a Store can be told. The zero value is useful.
type Options struct {
	// Poll is how often the files are looked at without an event. Zero means [watch.Poll].
	Poll time.Duration
	// OnReload is told of every reload that somebody asked for, and of those that the watch made if they
	// changed something: a new certificate, a new fault, or the end of one. It is called in the middle
	// of a reload and must not ask for one.
	OnReload func(Reload)
}

// Result is how a reload ended.
type Result string

// How a reload can end.
const (
	Loaded    Result = "success"   // what is in the files is in force
	Unchanged Result = "unchanged" // the files are what is in force
	Failed    Result = "failure"   // what was in force stays
)

// Reload is what one look at the files of a certificate led to.
type Reload struct {
	Name   Name
	Result Result
	// Err says what is wrong with the files, for Failed.
	Err error
	// Old is what was in force before, and New what is, for Loaded; else both are what is in force.
	Old, New Info
}

// Status is what an operator wants to know of one certificate.
type Status struct {
	Name Name
	Info
	// Err says why the files are not what is in force, or is nil.
	Err error
}

// Store keeps certificates in force and replaces them when their files change. Files that cannot be read
// or are not valid change nothing but [Status]. All methods may be called concurrently.
type Store struct {
	opts Options

	items []*item    // which they are does not change
	mu    sync.Mutex // serializes looks; guards what is in the items

	server   atomic.Pointer[tls.Config] // nil if TLS is not spoken to callers
	upstream atomic.Pointer[tls.Config]
	status   atomic.Pointer[[]Status]
}

// item is the files of one name.
type item struct {
	name    Name
	paths   []string
	parse   func(paths []string, contents [][]byte) (*material, error)
	inForce *material
	digest  [sha256.Size]byte // of the content in force
	fault   error
	doubt   time.Time // since when there is a fault that was not told yet
}

// Open reads the files. Whatever is wrong with one is an error. That a certificate has ended is none: those
// who do not look would be shut out, too, and the others are no worse off.
func Open(files Files, opts Options) (*Store, error) {
	s := &Store{opts: opts}
	add := func(name Name, parse func([]string, [][]byte) (*material, error), paths ...string) {
		if paths[0] != "" {
			s.items = append(s.items, &item{name: name, paths: paths, parse: parse})
		}
	}
	add(Server, parsePair, files.ServerCert, files.ServerKey)
	add(ClientCA, parseBundle, files.ClientCA)
	add(UpstreamClient, parsePair, files.UpstreamCert, files.UpstreamKey)
	add(UpstreamCA, parseBundle, files.UpstreamCA)
	var errs []error
	for _, it := range s.items {
		contents, err := read(it.paths)
		if err == nil {
			it.inForce, err = it.parse(it.paths, contents)
		}
		errs = append(errs, err)
		it.digest = digestOf(contents)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.publish()
	s.publishStatus()
	return s, nil
}

// Server returns how TLS is spoken to callers, or nil if it is not. What it returns stays as it is and
// takes up new certificates with each connection.
func (s *Store) Server() *tls.Config {
	if s.server.Load() == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.server.Load(), nil },
	}
}

// Upstream returns how TLS is spoken to the runner on the next connection: the same until something new is in
// force. Callers must not change it.
func (s *Store) Upstream() *tls.Config { return s.upstream.Load() }

// Status returns the state of every certificate there is. Callers must not change it.
func (s *Store) Status() []Status { return *s.status.Load() }

// Mounted returns the files that are mounted by themselves, so that new ones never arrive.
func (s *Store) Mounted() []string {
	return slices.DeleteFunc(s.paths(), func(path string) bool { return !watch.IsMountPoint(path) })
}

func (s *Store) paths() (paths []string) {
	for _, it := range s.items {
		paths = append(paths, it.paths...)
	}
	return paths
}

// Run reloads the files when they change, until ctx is done.
func (s *Store) Run(ctx context.Context) {
	if len(s.items) == 0 {
		return
	}
	watch.Run(ctx, s.opts.Poll, s.paths, func() time.Duration {
		_, again := s.look(false)
		return again
	})
}

// Reload looks at all files now and puts what is valid in force.
func (s *Store) Reload() []Reload {
	all, _ := s.look(true)
	return all
}

// settled is how long a fault must have lasted before it is told. A pair is two files, and whoever
// writes them one after the other leaves two that do not match for a moment.
const settled = 1500 * time.Millisecond

// look is the one way by which certificates come into force. With again, it should be called after that
// time.
func (s *Store) look(asked bool) (all []Reload, again time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, it := range s.items {
		r, tell, wait := it.look(asked, now)
		if wait > 0 && (again == 0 || wait < again) {
			again = wait
		}
		all = append(all, r)
		if r.Result == Loaded {
			s.publish()
		}
		s.publishStatus()
		if tell && s.opts.OnReload != nil {
			s.opts.OnReload(r)
		}
	}
	return all, again
}

// look compares the files with what is in force. tell is whether there is something to tell.
func (it *item) look(asked bool, now time.Time) (r Reload, tell bool, again time.Duration) {
	r = Reload{Name: it.name, Result: Unchanged, Old: it.inForce.info()}
	r.New = r.Old
	var next *material
	contents, err := read(it.paths)
	digest := digestOf(contents)
	if err == nil && digest != it.digest {
		if next, err = it.parse(it.paths, contents); err == nil {
			err = it.worse(next, now)
		}
	}
	switch {
	case err != nil:
		if it.doubt.IsZero() {
			it.doubt = now
		}
		if again = settled - now.Sub(it.doubt); again > 0 && !asked && it.fault == nil {
			return r, false, again
		}
		tell = asked || it.fault == nil || it.fault.Error() != err.Error()
		it.fault, r.Result, r.Err = err, Failed, err
		return r, tell, 0
	case digest == it.digest:
		tell = asked || it.fault != nil
	default:
		it.inForce, it.digest = next, digest
		r.Result, r.New, tell = Loaded, next.info(), true
	}
	it.fault, it.doubt = nil, time.Time{}
	return r, tell, 0
}

// worse says why next should not take the place of what is in force, or nil: a pair that cannot be used
// now, where the other can.
func (it *item) worse(next *material, now time.Time) error {
	if why := next.lapsed(now); why != "" && it.inForce.lapsed(now) == "" {
		return fmt.Errorf("%s: the certificate is of no use now: %s; put one there that is valid", it.paths[0], why)
	}
	return nil
}

// publish makes what is in force what is used. It is called with mu held, or before anybody knows of s.
func (s *Store) publish() {
	var server *tls.Config
	upstream := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, it := range s.items {
		switch it.name {
		case Server:
			server = &tls.Config{
				MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
				Certificates: []tls.Certificate{*it.inForce.pair},
			}
		case ClientCA:
			if server != nil {
				server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, it.inForce.pool
			}
		case UpstreamClient:
			pair := it.inForce.pair
			// Not Certificates: of those none is shown to a runner that names other authorities, and what
			// it says then is that there is none.
			upstream.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
		case UpstreamCA:
			upstream.RootCAs = it.inForce.pool
		}
	}
	s.server.Store(server)
	s.upstream.Store(upstream)
}

func (s *Store) publishStatus() {
	status := make([]Status, 0, len(s.items))
	for _, it := range s.items {
		status = append(status, Status{Name: it.name, Info: it.inForce.info(), Err: it.fault})
	}
	s.status.Store(&status)
}

// digestOf tells contents apart. It is kept instead of them, since keys are among them.
func digestOf(contents [][]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, c := range contents {
		d := sha256.Sum256(c)
		h.Write(d[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
