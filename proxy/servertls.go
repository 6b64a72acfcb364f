package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// The limits of HTTP/2, where one connection has many requests.
const (
	// maxStreams is how many requests a connection may have open; RFC 9113 (section 6.5.2) advises against fewer.
	// net/http starts no more handlers than that, however fast a client cancels requests.
	maxStreams = 100
	// maxStreamBuffer and maxConnBuffer are how much of request bodies is buffered, in bytes, before it is read.
	maxStreamBuffer = 256 << 10
	maxConnBuffer   = 1 << 20
)

// http2Config returns the limits of HTTP/2.
func http2Config() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: maxStreamBuffer, MaxReceiveBufferPerConnection: maxConnBuffer,
		// For a client that reads nothing from the connection at all; writeDeadline is for one that grants no window
		// for a stream.
		WriteByteTimeout: writeIdle,
	}
}

// secure has a server speak TLS, if there is a certificate for it, and returns what tells HTTP/2 clients to send no more
// requests on their connections (GOAWAY: RFC 9113, section 6.8).
func (p *Proxy) secure(s *http.Server) (goAway func()) {
	if s.TLSConfig = p.opts.Certificates.Server(); s.TLSConfig == nil {
		return func() {}
	}
	s.HTTP2 = http2Config()
	// For what net/http responds by itself in HTTP/2 to clients that grant no window for it. responseWriter.begin takes
	// it back for requests that reach the gate.
	s.WriteTimeout = refusalTime
	// net/http sends GOAWAY only in Shutdown, after which a server answers nobody; but clients that arrive while the gate
	// drains must be told. So the HTTP/2 connections belong to another server, which is initialized by an attempt to
	// serve, and shut down when the drain begins.
	by2 := p.server(s.Handler) // for these connections some of its limits count, and some of s
	by2.HTTP2, by2.WriteTimeout = s.HTTP2, s.WriteTimeout
	_ = by2.Serve(noListener{})
	s.TLSNextProto = by2.TLSNextProto
	return func() { _ = by2.Shutdown(context.Background()) } // has no connections to wait for
}

// serveClients serves on the data port.
func serveClients(s *http.Server, l net.Listener) error {
	if s.TLSConfig == nil {
		return serve(s, l)
	}
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	}
	return nil
}

// noListener is a listener that accepts nothing.
type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }
