package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
)

// renewing is a transport to an https runner. With new certificates it begins anew, so that no connection made
// with the old ones serves another request.
type renewing struct {
	config func() *tls.Config // in force now
	make   func(*tls.Config) *http.Transport

	mu      sync.Mutex // guards what follows
	made    *tls.Config
	current *http.Transport
}

// RoundTrip sends a request by the certificates that are in force.
func (r *renewing) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.transport().RoundTrip(req)
}

// CloseIdleConnections closes the connections that are kept for later.
func (r *renewing) CloseIdleConnections() { r.transport().CloseIdleConnections() }

func (r *renewing) transport() *http.Transport {
	config := r.config()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.made == config {
		return r.current
	}
	if r.current != nil {
		r.current.CloseIdleConnections() // and those in use a moment after they are idle
	}
	r.made, r.current = config, r.make(config)
	return r.current
}

// isTLS reports whether an error says that there is no TLS with the runner. What the runner has against the gate's
// certificate comes only with the first answer in TLS 1.3.
func isTLS(err error) bool {
	var unverified *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var remote *net.OpError
	return errors.As(err, &unverified) || errors.As(err, &noTLS) || errors.As(err, &remote) && remote.Op == "remote error"
}
