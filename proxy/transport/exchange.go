package transport

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// exchange is a request and its response.
type exchange struct {
	transport *Transport
	req       *http.Request
	ctx       context.Context
	conn      *conn
	stop      func() bool // cancels the AfterFunc that closes conn when ctx ends

	buffer     *[]byte // what is written first: the header, and as much of the body as fits
	length     int64   // of the body; less than 0 if it is unknown
	read       int64   // bytes read from the body
	bodyClosed atomic.Bool

	rest    chan struct{} // closed when sendRest has ended; nil if everything was in the buffer
	sent    bool          // the whole request was written; if rest is not nil, read it only once rest is closed
	bodyErr error         // why the body could not be read; likewise

	body responseBody
}

// do sends the request and reads the response header. If an idle connection turns out to be closed, it takes another.
func (x *exchange) do() (*http.Response, error) {
	if err := x.fillBuffer(); err != nil {
		return nil, err
	}
	for x.ctx.Err() == nil { // else it could still be sent on an idle connection
		c, reused, err := x.transport.conn(x.ctx, x.req.URL)
		if err != nil {
			return nil, err
		}
		x.conn = c
		x.stop = context.AfterFunc(x.ctx, c.abort)
		n, err := c.Write(*x.buffer)
		if n > 0 {
			return x.receive(err)
		}
		x.abandon()
		if !reused {
			return nil, err
		}
	}
	return nil, x.ctx.Err()
}

// receive sends the rest of the body and reads the response header. Even if the write failed, the server may have sent a
// response before it closed the connection.
func (x *exchange) receive(writeErr error) (*http.Response, error) {
	x.sent = writeErr == nil && x.read == x.length
	switch {
	case x.sent:
		x.closeBody()
	case writeErr == nil:
		x.rest = make(chan struct{})
		go x.sendRest()
	}
	res, err := x.readResponse()
	if err == nil {
		if writeErr != nil {
			x.closeBody()
		}
		return res, nil
	}
	x.abandon()
	if x.rest != nil {
		select {
		case <-x.rest:
			err = cmp.Or(x.bodyErr, err)
		default:
		}
	}
	return nil, cmp.Or(writeErr, err)
}

// readResponse reads the response header, and the interim responses before it.
func (x *exchange) readResponse() (*http.Response, error) {
	c := x.conn
	c.headerLeft = maxHeader
	trace := httptrace.ContextClientTrace(x.ctx)
	for {
		res, err := http.ReadResponse(c.reader, x.req)
		switch {
		case err != nil:
			return nil, err
		case res.StatusCode/100 != 1 || res.StatusCode == http.StatusSwitchingProtocols:
			c.headerLeft = unlimited
			c.setKeep(res.Header)
			x.setBody(res)
			return res, nil
		case trace != nil && trace.Got1xxResponse != nil:
			if err := trace.Got1xxResponse(res.StatusCode, map[string][]string(res.Header)); err != nil {
				return nil, err
			}
		}
	}
}

// finish is called when the whole response has been read. It makes the connection idle, or closes it.
func (x *exchange) finish(reuse bool) {
	if !x.stop() || !reuse || !x.sentAll() || x.conn.hasUnread() || !x.transport.pool.put(x.conn) {
		x.conn.Close()
	}
}

// abandon resets the connection.
func (x *exchange) abandon() {
	x.stop()
	x.conn.abort()
}

// sendGrace is how long finish waits for sendRest to end: the response to the last byte of a request may arrive before
// the goroutine that wrote the byte runs again.
const sendGrace = 10 * time.Millisecond

// sentAll reports whether the whole request was written.
func (x *exchange) sentAll() bool {
	if x.rest == nil {
		return x.sent
	}
	grace := time.NewTimer(sendGrace)
	defer grace.Stop()
	select {
	case <-x.rest:
		return x.sent
	case <-grace.C:
		return false
	}
}

func (x *exchange) closeBody() {
	if x.req.Body != nil && !x.bodyClosed.Swap(true) {
		_ = x.req.Body.Close() // the request was sent or failed; this error changes neither
	}
}
