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

// dialer opens connections to the upstream, for requests and for health checks.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// dialUpstream opens a connection. If it is given up just after it was established, it is closed with a reset. After a
// normal close, this side would keep the port for a minute, and clients that give up one request after the other could
// use up all ports.
func dialUpstream(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}) // if it fails, the close is a normal one
		})
	}}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err == nil {
		resetOnClose(conn, false)
	}
	return conn, err
}

// resetOnClose makes a connection close with a reset, or in the normal way.
func resetOnClose(conn net.Conn, reset bool) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		seconds := -1
		if reset {
			seconds = 0
		}
		_ = tcp.SetLinger(seconds) // if it fails, the connection has failed, too
	}
}

// roundTripper sends requests to the upstream.
type roundTripper interface {
	http.RoundTripper
	CloseIdleConnections()
}

// newTransport returns package transport's Transport, or net/http's if the options ask for it. Neither sends a request
// twice. Neither limits how long a response may take to begin, because net/http's limit would not count while a body is
// being sent: see responseTimeout.
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

// onceTransport is net/http's Transport, kept from repeating a request when a reused connection breaks. It repeats
// requests that it considers idempotent, but none with a body (isReplayable in net/http/request.go), so requests of that
// kind get an empty one.
type onceTransport struct{ http.Transport }

func newOnceTransport(dial dialer) *onceTransport {
	return &onceTransport{http.Transport{
		// No proxy from the environment: the upstream is next door, and requests to it carry keys.
		DialContext: dial, DialTLSContext: dial,
		// Node closes an idle connection after 5 s (http.Server.keepAliveTimeout). A POST that crosses paths with that
		// cannot be sent again, so this side closes first.
		IdleConnTimeout:     3 * time.Second,
		MaxIdleConnsPerHost: 512,
		// Clients negotiate encodings with the upstream, and decompressing would delay a stream.
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

// overTLS returns a dialer that connects over TLS, with the configuration that is current at that time.
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
		resetOnClose(conn, true) // in case the handshake is given up
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		resetOnClose(conn, false)
		return secure, nil
	}
}

// renewingTransport sends requests to an https upstream. When its certificates have been renewed, it starts over with a
// new transport, so that no connection made with the old ones serves another request.
type renewingTransport struct {
	config func() *tls.Config // the current one
	new    func() roundTripper

	mu      sync.Mutex // guards the fields below
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
		old.CloseIdleConnections() // those in use are closed once they are idle
	}
	return current
}

// isTLS reports whether an error is one of the TLS handshake. In TLS 1.3, what the upstream objects to in the gate's
// certificate arrives only with the first response.
func isTLS(err error) bool {
	remote, ok := errors.AsType[*net.OpError](err)
	return ok && remote.Op == "remote error" || errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError))
}
