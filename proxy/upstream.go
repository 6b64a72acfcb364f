package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/transport"
)

// dialer opens connections to the upstream, for requests and to see whether it is there.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func dialUpstream(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
}

// roundTripper is the way to the upstream.
type roundTripper interface {
	http.RoundTripper
	CloseIdleConnections()
}

// newTransport returns the way to an upstream: package transport's, or net/http's where that is asked for or where the
// upstream speaks TLS. It has no limit on how long a response may take to begin; net/http's own limit would not count
// while a body is being sent: see responseTimeout.
func newTransport(o Options, certificates *certificate.Store, dial dialer) roundTripper {
	if o.Upstream.Scheme == "http" && !o.StandardTransport {
		return &transport.Transport{Dial: dial}
	}
	standard := func(config *tls.Config) *http.Transport {
		return &http.Transport{
			// No proxy from the environment: the upstream is next door, and requests to it carry keys.
			DialContext:         dial,
			TLSClientConfig:     config.Clone(),
			TLSHandshakeTimeout: 5 * time.Second,
			// Node closes an idle connection after 5 s (http.Server.keepAliveTimeout). A POST that meets the closing
			// cannot be sent again, so this side closes first.
			IdleConnTimeout:     3 * time.Second,
			MaxIdleConnsPerHost: 512,
			// Clients negotiate encodings with the upstream; a stream must not be delayed to inflate it.
			DisableCompression: true,
		}
	}
	if o.Upstream.Scheme == "http" {
		return standard(certificates.Upstream())
	}
	return &renewingTransport{config: certificates.Upstream, make: standard}
}

// renewingTransport is the way to an https upstream. With new certificates it begins anew, so no connection made with
// the old ones serves another request.
type renewingTransport struct {
	config func() *tls.Config // the current one
	make   func(*tls.Config) *http.Transport

	mu      sync.Mutex // guards what follows
	made    *tls.Config
	current *http.Transport
}

// RoundTrip sends a request over a connection made with the current certificates.
func (r *renewingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.transport().RoundTrip(req)
}

// CloseIdleConnections closes idle connections.
func (r *renewingTransport) CloseIdleConnections() { r.transport().CloseIdleConnections() }

func (r *renewingTransport) transport() *http.Transport {
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

// isTLS reports whether an error is one of the TLS handshake. What the upstream has against the gate's certificate
// arrives only with the first response in TLS 1.3.
func isTLS(err error) bool {
	var unverified *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var remote *net.OpError
	return errors.As(err, &unverified) || errors.As(err, &noTLS) || errors.As(err, &remote) && remote.Op == "remote error"
}
