package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flowlatch/flowlatch/proxy/transport"
)

// dialer opens connections to the upstream, for requests and to see whether it is there.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// dialUpstream opens a connection. One that is given up when it has just come about is closed by a reset: after the usual
// close this side keeps the port for a minute, so clients who give up one request after the other could use all ports up.
func dialUpstream(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}) // or it is closed in the usual way
		})
	}}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err == nil {
		resetOnClose(conn, false)
	}
	return conn, err
}

// resetOnClose has a connection closed by a reset, or in the usual way.
func resetOnClose(conn net.Conn, reset bool) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		seconds := -1
		if reset {
			seconds = 0
		}
		_ = tcp.SetLinger(seconds) // if it fails, the connection has failed, too
	}
}

// roundTripper is the way to the upstream.
type roundTripper interface {
	http.RoundTripper
	CloseIdleConnections()
}

// newTransport returns the way to an upstream: package transport's, or net/http's where that is asked for. Neither sends
// a request twice. Neither limits how long a response may take to begin, since net/http's limit would not count while a
// body is being sent: see responseTimeout.
func newTransport(o Options, dial dialer) roundTripper {
	secure := o.Upstream.Scheme == "https"
	if secure {
		dial = overTLS(dial, o.Upstream.Hostname(), o.Certificates.Upstream)
	}
	newOne := func() roundTripper { return &transport.Transport{Dial: dial} }
	if o.StandardTransport {
		newOne = func() roundTripper { return newOnceTransport(dial) }
	}
	if secure {
		return &renewingTransport{config: o.Certificates.Upstream, new: newOne}
	}
	return newOne()
}

// onceTransport is net/http's Transport, kept from repeating a request when a connection that it used before breaks. It
// repeats requests that it takes for idempotent, and none with a body (isReplayable in net/http/request.go), so those get
// an empty one.
type onceTransport struct{ http.Transport }

func newOnceTransport(dial dialer) *onceTransport {
	return &onceTransport{http.Transport{
		// No proxy from the environment: the upstream is next door, and requests to it carry keys.
		DialContext: dial, DialTLSContext: dial,
		// Node closes an idle connection after 5 s (http.Server.keepAliveTimeout). A POST that meets the closing cannot
		// be sent again, so this side closes first.
		IdleConnTimeout:     3 * time.Second,
		MaxIdleConnsPerHost: 512,
		// Clients negotiate encodings with the upstream; a stream must not be delayed to inflate it.
		DisableCompression: true,
	}}
}

// RoundTrip sends a request once.
func (t *onceTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	idempotent := req.Method != http.MethodPost || req.Header["Idempotency-Key"] != nil || req.Header["X-Idempotency-Key"] != nil
	if idempotent && (req.Body == nil || req.Body == http.NoBody) {
		req = req.WithContext(req.Context()) // a copy
		req.Body = io.NopCloser(strings.NewReader(""))
	}
	return t.Transport.RoundTrip(req)
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
		resetOnClose(conn, true) // if the handshake is given up
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		resetOnClose(conn, false)
		return secure, nil
	}
}

// renewingTransport is the way to an https upstream. When its certificates have been renewed it begins anew, so no
// connection that was made with the old ones serves another request.
type renewingTransport struct {
	config func() *tls.Config // the current one
	new    func() roundTripper

	mu      sync.Mutex // guards what follows
	made    *tls.Config
	current roundTripper
}

// RoundTrip sends a request over a connection made with the current certificates.
func (r *renewingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.transport().RoundTrip(req)
}

// CloseIdleConnections closes idle connections.
func (r *renewingTransport) CloseIdleConnections() { r.transport().CloseIdleConnections() }

func (r *renewingTransport) transport() roundTripper {
	config := r.config()
	r.mu.Lock()
	old := r.current
	if r.made != config {
		r.made, r.current = config, r.new()
	}
	current := r.current
	r.mu.Unlock()
	if old != nil && old != current {
		old.CloseIdleConnections() // and those in use once they are idle
	}
	return current
}

// isTLS reports whether an error is one of the TLS handshake. What the upstream has against the gate's certificate
// arrives only with the first response in TLS 1.3.
func isTLS(err error) bool {
	var unverified *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var remote *net.OpError
	return errors.As(err, &unverified) || errors.As(err, &noTLS) || errors.As(err, &remote) && remote.Op == "remote error"
}
