package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// setBody sets a response body that ends the exchange when it ends.
func (x *exchange) setBody(res *http.Response) {
	switching := res.StatusCode == http.StatusSwitchingProtocols
	switch {
	case switching && isUpgrade(res.Header):
		res.Body = &upgraded{x.conn, x.stop}
	case switching:
		x.finish(false)
	case res.Body == nil || res.Body == http.NoBody:
		res.Body = http.NoBody
		x.finish(!res.Close)
	default:
		x.body = responseBody{ReadCloser: res.Body, exchange: x, reuse: !res.Close}
		res.Body = &x.body
	}
}

// isUpgrade reports whether the header of a 101 response names the protocol that the connection is upgraded to (RFC 9110,
// section 7.8).
func isUpgrade(h http.Header) bool {
	if h.Get("Upgrade") == "" {
		return false
	}
	for _, value := range h["Connection"] {
		for token := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.Trim(token, " \t"), "upgrade") {
				return true
			}
		}
	}
	return false
}

// responseBody is the body of a response. The exchange ends when the body has been read to its end, or is closed before.
type responseBody struct {
	io.ReadCloser
	exchange *exchange
	reuse    bool // of the connection
	ended    bool
}

// Buffered returns how many bytes can be read without waiting for the server. If the response has no length, some of them
// may not be part of the body.
func (b *responseBody) Buffered() int {
	if b.ended {
		return 0
	}
	return b.exchange.conn.reader.Buffered()
}

func (b *responseBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	b.ended = true
	if errors.Is(err, io.EOF) {
		b.exchange.finish(b.reuse)
		return n, err
	}
	b.exchange.abandon()
	if ctx := b.exchange.ctx; ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return n, err
}

// Close ends the exchange. If the body was not read to its end, the connection is closed: reading the rest might take
// long.
func (b *responseBody) Close() error {
	if !b.ended {
		b.ended = true
		b.exchange.abandon()
	}
	return nil
}

// upgraded is the body of a 101 response: the connection, on which both sides now speak another protocol.
type upgraded struct {
	*conn
	stop func() bool
}

func (u *upgraded) Read(p []byte) (int, error) { return u.reader.Read(p) }

// CloseWrite tells the server that nothing more will be sent.
func (u *upgraded) CloseWrite() error {
	if c, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (u *upgraded) Close() error {
	u.stop()
	return u.conn.Close()
}
