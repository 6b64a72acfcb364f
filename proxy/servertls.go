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

// serveCallers serves on the data port, by TLS if there is a certificate for it.
func (p *Proxy) serveCallers(s *http.Server, l net.Listener) error {
	if s.TLSConfig = p.certificates.Server(); s.TLSConfig == nil {
		return serve(s, l)
	}
	s.HTTP2 = http2Config()
	// For what net/http answers by itself in HTTP/2 to callers who open no window for it. Requests that
	// reach the gate are freed of it.
	s.WriteTimeout = sendIdle
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	}
	return nil
}

// goAway tells callers by HTTP/2 to send no more requests on their connections (RFC 9113, section 6.8).
// net/http does so in Shutdown alone, which closes the listener as well: that one is held open, since callers
// who come while the gate drains are to get an answer.
func (p *Proxy) goAway(s *http.Server) {
	if s.TLSConfig == nil {
		return
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	go func() { _ = s.Shutdown(now) }() // waits for the listener
}

// heldListener is a listener that the server it is for cannot close.
type heldListener struct{ net.Listener }

// Close does nothing.
func (heldListener) Close() error { return nil }

// unlimited takes back the server's limit on how long an answer may take.
func (r *record) unlimited() {
	if r.body.request.TLS != nil {
		_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Time{})
	}
}
