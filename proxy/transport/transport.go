// Package transport is a client's side of plain HTTP/1.1 to one server, for a proxy that sits next to it.
//
// It does what net/http's Transport does there, by the goroutine that asks: a request and its answer cost
// no other goroutine, no channel and, for a small body, one write. It leaves TLS, proxies, HTTP/2,
// redirects, compression and cookies to others, and the parsing of answers to net/http.
package transport

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Transport is an http.RoundTripper to the server that Dial leads to. It may be used by any number of
// goroutines.
type Transport struct {
	// Dial opens a connection to the server. Required.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	pool pool
}

// maxHead is the largest head of an answer, in bytes, as long as net/http's Transport has no other.
const maxHead = 1 << 20

// RoundTrip sends a request and returns its answer once the head is there. The answer's body must be read
// to its end or closed. An error may be the context's cause, one of the request's body, or one of the
// connection.
//
// A request is sent again, on another connection, only if not a byte of it could be written: unlike net/http's
// Transport this one sends no request twice, not even by a method that should make no difference.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{transport: t, req: req, ctx: req.Context()}
	res, err := x.run()
	x.recycle()
	if err != nil {
		x.closeBody()
		if x.ctx.Err() != nil {
			err = context.Cause(x.ctx)
		}
		return nil, err
	}
	return res, nil
}

// CloseIdleConnections closes the connections that are kept for later.
func (t *Transport) CloseIdleConnections() { t.pool.closeAll() }

// conn returns a connection to use: one that was kept, or a new one.
func (t *Transport) conn(ctx context.Context, addr string) (c *conn, reused bool, err error) {
	if c := t.pool.get(time.Now()); c != nil {
		return c, true, nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), "80")
	}
	nc, err := t.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, false, err
	}
	return newConn(nc), false, nil
}

// untouchedError says that nothing of a request was written.
type untouchedError struct{ error }

func (e untouchedError) Unwrap() error { return e.error }

// errHead says that an answer's head is too large.
var errHead = fmt.Errorf("the head of the answer is larger than %d bytes", maxHead)
