package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The limits of HTTP/2, where one connection has many requests.
const (
	// maxStreams is how many requests a connection may have open; RFC 9113 (section 6.5.2) advises against
	// fewer. net/http starts no more handlers than that, however fast a caller takes requests back.
	maxStreams = 100
	// maxStreamBuffer and maxConnBuffer are how much of bodies is taken, in bytes, before somebody reads it.
	maxStreamBuffer = 256 << 10
	maxConnBuffer   = 1 << 20
)

// http2Config returns the limits of HTTP/2.
func http2Config() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: maxStreamBuffer, MaxReceiveBufferPerConnection: maxConnBuffer,
		// For a caller who takes nothing from the connection at all; one who opens no window for a stream
		// is record's business.
		WriteByteTimeout: sendIdle,
	}
}

// secure has a server speak TLS, if there is a certificate for it, and returns what tells callers by HTTP/2 to
// send no more requests on their connections (RFC 9113, section 6.8).
func (p *Proxy) secure(s *http.Server) (goAway func()) {
	if s.TLSConfig = p.certificates.Server(); s.TLSConfig == nil {
		return func() {}
	}
	s.HTTP2 = http2Config()
	// For what net/http answers by itself in HTTP/2 to callers who open no window for it. Requests that
	// reach the gate are freed of it.
	s.WriteTimeout = sendIdle
	// net/http tells them in Shutdown alone, after which a server answers nobody: but callers who come while the
	// gate drains are to be told. So the connections by HTTP/2 are those of another server, which is made ready by an
	// attempt to serve, and shut down when the drain begins.
	by2 := p.server(s.Handler) // some of its limits count for them, and some those of s
	by2.HTTP2, by2.WriteTimeout = s.HTTP2, s.WriteTimeout
	_ = by2.Serve(noListener{})
	s.TLSNextProto = by2.TLSNextProto
	return func() { _ = by2.Shutdown(context.Background()) } // has no connections to wait for
}

// serveCallers serves on the data port.
func serveCallers(s *http.Server, l net.Listener) error {
	if s.TLSConfig == nil {
		return serve(s, l)
	}
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	}
	return nil
}

// noListener is a listener to which nobody comes.
type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }

// unlimited takes back the server's limit on how long an answer may take.
func (r *record) unlimited() {
	if r.body.request.TLS != nil {
		_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Time{})
	}
}
