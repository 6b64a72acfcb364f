package certificate

import (
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// Files are the paths of the PEM files. An empty path means that there is no such file. A certificate needs its key.
type Files struct {
	ServerCert, ServerKey     string
	ClientCA                  string
	UpstreamCert, UpstreamKey string
	UpstreamCA                string
}

// Options configure a Store. The zero value is useful.
type Options struct {
	// Poll is how often the files are read even without a file system event. Zero means [watch.Poll].
	Poll time.Duration
	// OnReload is called with every result of an explicit reload. Results of the watch are passed only if something
	// changed: a certificate, or a fault that is new or gone. OnReload may be called concurrently.
	OnReload func(Reload)
}

// Status is the state of one certificate.
type Status struct {
	Name Name
	Info
	// Err says why the current files do not apply. It is nil if they do.
	Err error
}

// Store keeps certificates and replaces them when their files change. If the files cannot be read or are invalid, the
// last good ones still apply, and [Store.Status] says why. All methods may be called concurrently.
type Store struct {
	opts    Options
	entries []*entry // fixed after Open

	mu sync.Mutex // held by publish, so that concurrent calls do not leave an older state in place

	server   atomic.Pointer[tls.Config] // nil without TLS for clients
	upstream atomic.Pointer[tls.Config]
}

// Open reads the files. Anything wrong with them is an error, except that a certificate has expired. If that were an
// error, clients that do not check it would be shut out as well, and the others would gain nothing.
func Open(files Files, opts Options) (*Store, error) {
	s := &Store{opts: opts}
	var errs []error
	for _, f := range []struct {
		name Name
		source
	}{
		{Server, source{files.ServerCert, files.ServerKey}},
		{ClientCA, source{cert: files.ClientCA}},
		{UpstreamClient, source{files.UpstreamCert, files.UpstreamKey}},
		{UpstreamCA, source{cert: files.UpstreamCA}},
	} {
		if f.cert == "" {
			continue
		}
		e := newEntry(f.name, f.source)
		s.entries = append(s.entries, e)
		errs = append(errs, e.files.Reload(true).Err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.publish()
	return s, nil
}

// Server returns the TLS configuration for clients, or nil if there is none. It uses the certificates that are active
// when a client connects.
func (s *Store) Server() *tls.Config {
	if s.server.Load() == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.server.Load(), nil },
	}
}

// Upstream returns the TLS configuration for the next connection to the upstream. It is the same value until a new
// certificate applies, and must not be changed.
func (s *Store) Upstream() *tls.Config { return s.upstream.Load() }

// Status returns the state of every certificate.
func (s *Store) Status() []Status {
	all := make([]Status, 0, len(s.entries))
	for _, e := range s.entries {
		all = append(all, Status{Name: e.name, Info: e.files.Value().info, Err: e.files.Fault()})
	}
	return all
}

// Mounted returns the files that are themselves mount points, where a renewed file never appears.
func (s *Store) Mounted() []string {
	return slices.DeleteFunc(s.paths(), func(path string) bool { return !watch.IsMountPoint(path) })
}

func (s *Store) paths() (paths []string) {
	for _, e := range s.entries {
		paths = append(paths, e.files.Paths()...)
	}
	return paths
}

// tls12Suites are the cipher suites for TLS 1.2: those that encrypt and authenticate in one step (AEAD). Go's defaults
// include CBC suites, which scanners report (Lucky Thirteen). TLS 1.3 has only AEAD suites.
var tls12Suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// publish makes new connections use the active certificates.
func (s *Store) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var server *tls.Config
	upstream := &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: tls12Suites}
	for _, e := range s.entries {
		active := e.files.Value()
		switch pair := &active.pair; e.name {
		case Server:
			server = &tls.Config{
				MinVersion: tls.VersionTLS12, CipherSuites: tls12Suites,
				NextProtos: []string{"h2", "http/1.1", "http/1.0"}, Certificates: []tls.Certificate{*pair},
			}
		case ClientCA:
			if server != nil {
				server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, active.pool
			}
		case UpstreamClient:
			// With Certificates, Go presents none to an upstream that asks for certificates of other CAs, and the
			// upstream's error would then be that there is none.
			upstream.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
		case UpstreamCA:
			upstream.RootCAs = active.pool
		}
	}
	s.server.Store(server)
	s.upstream.Store(upstream)
}
