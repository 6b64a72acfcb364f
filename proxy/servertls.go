package proxy

import (
	"context"
	"net"
	"net/http"
)

// The limits of HTTP/2, where one connection carries many requests.
const (
	// maxStreams is how many requests a connection may have open. RFC 9113 (section 6.5.2) advises against fewer.
	// net/http runs no more handlers than that, however fast a client cancels requests.
	maxStreams = 100
	// maxStreamBuffer and maxConnBuffer are how many bytes of request bodies are buffered before they are read.
	maxStreamBuffer = 256 << 10
	maxConnBuffer   = 1 << 20
)

// http2Config returns the limits of HTTP/2.
func http2Config() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: maxStreamBuffer, MaxReceiveBufferPerConnection: maxConnBuffer,
		// For a client that reads nothing from the connection at all. writeDeadline is for one that grants no window for
		// a stream.
		WriteByteTimeout: writeIdle,
	}
}

// secure makes a server use TLS, if there is a certificate for it. It returns a function that tells HTTP/2 clients to
// send no more requests on their connections (GOAWAY: RFC 9113, section 6.8).
func (p *Proxy) secure(s *http.Server) (goAway func()) {
	if s.TLSConfig = p.opts.Certificates.Server(); s.TLSConfig == nil {
		return func() {}
	}
	s.HTTP2 = http2Config()
	// For responses that net/http itself sends in HTTP/2, to clients that grant no window for them. For requests that
	// reach the gate, responseWriter.begin removes this timeout.
	s.WriteTimeout = refusalTime
	// net/http sends GOAWAY only in Shutdown, after which a server no longer responds; but clients that connect while the
	// gate drains need a response. So the HTTP/2 connections belong to another server, which an attempt to serve
	// initializes, and which is shut down when the drain begins.
	by2 := p.server(s.Handler) // for these connections, some of its limits apply, and some of those of s
	by2.HTTP2, by2.WriteTimeout = s.HTTP2, s.WriteTimeout
	_ = by2.Serve(noListener{})
	s.TLSNextProto = by2.TLSNextProto
	return func() { _ = by2.Shutdown(context.Background()) } // returns at once: it has no connections to wait for
}

// noListener is a listener that accepts nothing.
type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }
