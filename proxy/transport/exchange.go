package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// exchange is one request on its way.
type exchange struct {
	transport *Transport
	req       *http.Request
	ctx       context.Context
	conn      *conn

	buffer *[]byte // what goes first: the head, and what of the body was there
	length int64   // of the body, or -1
	read   int64   // bytes of the body that were read
	whole  bool    // the buffer has all of the request

	sent    atomic.Bool           // all of the request was written
	rest    chan struct{}         // closed when sendRest has ended; nil without it
	bodyErr atomic.Pointer[error] // the body could not be read
	closed  atomic.Bool           // the body was closed
	stop    func() bool           // takes back what happens when the context ends
}

// run sends the request, on another connection if one turns out to be closed, and reads the head of the
// answer.
func (x *exchange) run() (*http.Response, error) {
	if err := x.prepare(); err != nil {
		return nil, err
	}
	for {
		c, reused, err := x.transport.conn(x.ctx, x.req.URL.Host)
		if err != nil {
			return nil, err
		}
		res, err := x.on(c)
		if err == nil || !reused || !errors.As(err, new(untouchedError)) || x.ctx.Err() != nil {
			return res, err
		}
	}
}

// prepare puts the head and the first of the body into the buffer. No connection is held while the body's
// first bytes are waited for.
func (x *exchange) prepare() error {
	x.buffer = buffers.Get().(*[]byte)
	b, err := head((*x.buffer)[:0], x.req)
	*x.buffer = b
	if err != nil {
		return err
	}
	x.length = bodyLength(x.req)
	if x.length < 0 {
		return nil // in chunks, as they come
	}
	room := b[len(b):cap(b)]
	room = room[:min(x.length, int64(len(room)))]
	for len(room) > 0 {
		n, err := x.req.Body.Read(room)
		room = room[n:]
		x.read += int64(n)
		*x.buffer = (*x.buffer)[:len(*x.buffer)+n]
		switch {
		case x.read == x.length:
		case errors.Is(err, io.EOF):
			return errBodyShort
		case err != nil:
			return err
		}
	}
	x.whole = x.read == x.length
	return nil
}

// recycle gives the buffer back.
func (x *exchange) recycle() {
	if x.buffer != nil && cap(*x.buffer) <= 2*outgoing {
		buffers.Put(x.buffer)
	}
	x.buffer = nil
}

func (x *exchange) closeBody() {
	if x.req.Body != nil && !x.closed.Swap(true) {
		_ = x.req.Body.Close() // nobody could do anything about it
	}
}

// on sends the request on a connection and reads the head of the answer.
func (x *exchange) on(c *conn) (*http.Response, error) {
	x.conn = c
	x.stop = context.AfterFunc(x.ctx, func() { c.Close() })
	n, err := c.Write(*x.buffer)
	switch {
	case n == 0 && err != nil:
		x.abandon()
		return nil, untouchedError{err}
	case err != nil: // perhaps the server has answered before it closed
	case x.whole:
		x.sent.Store(true)
		x.closeBody()
	default:
		x.rest = make(chan struct{})
		go x.sendRest()
	}
	res, answerErr := x.answer()
	if answerErr == nil {
		if err != nil {
			x.closeBody() // nobody sends the rest of it
		}
		return res, nil
	}
	x.abandon()
	failed := x.bodyErr.Load()
	switch {
	case failed != nil:
		return nil, *failed
	case err != nil:
		return nil, err
	}
	return nil, answerErr
}

// abandon ends the connection.
func (x *exchange) abandon() {
	x.stop()
	x.conn.Close()
}

// sendRest sends what is left of the body, while the answer may begin.
func (x *exchange) sendRest() {
	defer close(x.rest)
	defer x.closeBody()
	p := pieces.Get().(*[chunkHead + 16<<10 + 2]byte)
	defer pieces.Put(p)
	room := p[chunkHead : len(p)-2]
	for left := x.length - x.read; x.length < 0 || left > 0; {
		if x.length >= 0 {
			room = room[:min(left, int64(len(room)))]
		}
		n, err := x.req.Body.Read(room)
		left -= int64(n)
		last := errors.Is(err, io.EOF)
		if last && x.length >= 0 && left > 0 {
			err, last = errBodyShort, false
		}
		if err != nil && !last {
			// Nothing that is whole can be sent any more. Whoever waits for the answer learns of it.
			x.bodyErr.Store(&err)
			x.conn.Close()
			return
		}
		if x.write(p[:], n) != nil {
			return // whoever waits for the answer sees what the server has said before it closed
		}
		if last && x.length < 0 {
			if _, err := io.WriteString(x.conn, "0\r\n\r\n"); err != nil {
				return
			}
			break
		}
	}
	x.sent.Store(true)
}

// write sends n bytes of the body, which begin at p[chunkHead:].
func (x *exchange) write(p []byte, n int) error {
	if n == 0 {
		return nil
	}
	piece := p[chunkHead : chunkHead+n]
	if x.length < 0 {
		piece = chunk(p, n)
	}
	_, err := x.conn.Write(piece)
	return err
}

// answer reads the head of the answer, past interim ones.
func (x *exchange) answer() (*http.Response, error) {
	c := x.conn
	c.left = maxHead
	trace := httptrace.ContextClientTrace(x.ctx)
	for {
		res, err := http.ReadResponse(c.reader, x.req)
		if err != nil {
			return nil, err
		}
		if interim := 100 <= res.StatusCode && res.StatusCode < 200; !interim || res.StatusCode == http.StatusSwitchingProtocols {
			c.left = noLimit
			c.announce(res.Header)
			x.attach(res)
			return res, nil
		}
		if trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(res.StatusCode, map[string][]string(res.Header)); err != nil {
				return nil, err
			}
		}
	}
}

// attach makes the end of an answer's body the end of the exchange.
func (x *exchange) attach(res *http.Response) {
	switch {
	case res.StatusCode == http.StatusSwitchingProtocols && !switches(res.Header):
		x.finish(false)
	case res.StatusCode == http.StatusSwitchingProtocols:
		res.Body = &upgraded{conn: x.conn, end: func() { x.stop() }}
	case res.Body == nil || res.Body == http.NoBody:
		res.Body = http.NoBody
		x.finish(!res.Close)
	default:
		res.Body = &answerBody{ReadCloser: res.Body, x: x, reuse: !res.Close}
	}
}

// switches reports whether the head of an answer 101 says that the connection is upgraded, and to what (RFC
// 9110, section 7.8).
func switches(h http.Header) bool {
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

// finish is called when all of the answer was read: the connection is kept if nothing is left on it.
func (x *exchange) finish(reuse bool) {
	c := x.conn
	stopped := x.stop()
	if !reuse || !stopped || !x.allSent() || c.reader.Buffered() > 0 {
		c.Close()
		return
	}
	x.transport.pool.put(c)
}

// sendingEnds is how long the goroutine that sends a body may take to notice that it has: the answer to the
// last byte may be faster.
const sendingEnds = 10 * time.Millisecond

// allSent reports whether all of the request was written.
func (x *exchange) allSent() bool {
	if x.sent.Load() || x.rest == nil {
		return x.sent.Load()
	}
	patience := time.NewTimer(sendingEnds)
	defer patience.Stop()
	select {
	case <-x.rest:
	case <-patience.C:
	}
	return x.sent.Load()
}

// answerBody is the body of an answer. Reading to its end, or closing it before, ends the exchange.
type answerBody struct {
	io.ReadCloser
	x     *exchange
	reuse bool
	ended bool
}

func (b *answerBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.ended = true
		b.x.finish(b.reuse)
	default:
		b.ended = true
		b.x.abandon()
		if b.x.ctx.Err() != nil {
			err = context.Cause(b.x.ctx)
		}
	}
	return n, err
}

// Close ends the exchange. What was not read is not waited for: the connection is closed.
func (b *answerBody) Close() error {
	if !b.ended {
		b.ended = true
		b.x.abandon()
	}
	return nil
}
