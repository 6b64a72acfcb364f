package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

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

// newTransport returns the way to an upstream: package transport's, or net/http's where that is asked for. Both send no
// request twice: net/http's Transport repeats some when a connection that it used before breaks, so it gets a new one
// for each. It has no limit on how long a response may take to begin; its own would not count while a body is being
// sent: see responseTimeout.
func newTransport(o Options, dial dialer) roundTripper {
	secure := o.Upstream.Scheme == "https"
	config := o.Certificates.Upstream
	if secure {
		dial = overTLS(dial, o.Upstream.Hostname(), config)
	}
	switch {
	case o.StandardTransport:
		return &http.Transport{
			// No proxy from the environment: the upstream is next door, and requests to it carry keys.
			DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true,
			// Clients negotiate encodings with the upstream; a stream must not be delayed to inflate it.
			DisableCompression: true,
		}
	case secure:
		return &renewingTransport{Transport: transport.Transport{Dial: dial}, config: config, current: config()}
	}
	return &transport.Transport{Dial: dial}
}

// overTLS returns a dialer that connects over TLS with the configuration that is current when it does.
func overTLS(dial dialer, host string, config func() *tls.Config) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := config().Clone()
		c.ServerName = host
		secure := tls.Client(conn, c)
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return secure, nil
	}
}

// renewingTransport is the way to an https upstream. When its certificates have been renewed, no connection that was
// made with the old ones serves another request.
type renewingTransport struct {
	transport.Transport
	config func() *tls.Config

	mu      sync.Mutex // guards what follows
	current *tls.Config
}

// RoundTrip sends a request over a connection made with the current certificates.
func (r *renewingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	config := r.config()
	r.mu.Lock()
	renewed := r.current != config
	r.current = config
	r.mu.Unlock()
	if renewed {
		r.CloseIdleConnections()
	}
	return r.Transport.RoundTrip(req)
}

// isTLS reports whether an error is one of the TLS handshake. What the upstream has against the gate's certificate
// arrives only with the first response in TLS 1.3.
func isTLS(err error) bool {
	var unverified *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var remote *net.OpError
	return errors.As(err, &unverified) || errors.As(err, &noTLS) || errors.As(err, &remote) && remote.Op == "remote error"
}
