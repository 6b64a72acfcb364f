// Package transport is the client side of HTTP/1.1 to one server, for a reverse proxy that runs next to it.
//
// It does what net/http's Transport does there, in the goroutine that calls RoundTrip: a request costs no other
// goroutine, no channel and, if its body is small, a single write. Responses are parsed by net/http. TLS is up to Dial.
// There are no proxies, no HTTP/2, no redirects, no compression and no cookies; Request.Close, Request.Trailer and
// Response.TLS are not used.
//
// It differs from net/http's Transport on purpose in four ways: it never sends a request twice, it closes an idle
// connection before the server does, it resets the connection of a request that is given up, and it reads at most 1 MiB
// of response headers, interim responses included.
package transport

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

// Transport is an http.RoundTripper for the server that Dial connects to. It may be used by several goroutines at once.
type Transport struct {
	// Dial opens a connection to the server. For an https URL it returns a *tls.Conn after the handshake. Required.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	pool pool
}

// RoundTrip sends a request and returns the response when its header has arrived. The response's body must be read to
// its end or closed. If the request's context ends, the error is its cause.
//
// A request is sent again, on another connection, only if not a byte of it could be written. net/http's Transport also
// repeats requests that the server may have received, if their method or an Idempotency-Key makes that look safe.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{transport: t, req: req, ctx: req.Context()}
	res, err := x.do()
	x.releaseBuffer()
	if err != nil {
		x.closeBody()
		if x.ctx.Err() != nil {
			err = context.Cause(x.ctx)
		}
		return nil, err
	}
	return res, nil
}

// CloseIdleConnections closes the idle connections, and those in use as soon as their responses have been read.
func (t *Transport) CloseIdleConnections() { t.pool.closeAll() }

// conn returns an idle connection, or a new one.
func (t *Transport) conn(ctx context.Context, u *url.URL) (c *conn, reused bool, err error) {
	c, generation := t.pool.get(time.Now())
	if c != nil {
		return c, true, nil
	}
	nc, err := t.Dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), origin.PortOf(u)))
	if err != nil {
		return nil, false, err
	}
	return newConn(nc, generation), false, nil
}
