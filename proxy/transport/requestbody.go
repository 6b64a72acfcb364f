package transport

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// bufferSize is the size of the first write of a request: the header together with a small body.
const bufferSize = 8 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, bufferSize); return &b }}

// errBodyShort is the error for a request body that ends before its Content-Length.
var errBodyShort = errors.New("the request body is shorter than its Content-Length")

// bodyLength returns the length of a request body, less than 0 if it is unknown.
func bodyLength(req *http.Request) int64 {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return 0
	case req.ContentLength == 0:
		return -1
	}
	return req.ContentLength
}

// fillBuffer puts the header and the beginning of the body into the buffer. It runs before there is a connection, so none
// is held while it waits for the body. A body of unknown length is left to sendRest, which sends each part as it comes.
func (x *exchange) fillBuffer() error {
	x.buffer = buffers.Get().(*[]byte)
	b, err := appendHeader((*x.buffer)[:0], x.req)
	x.length = bodyLength(x.req)
	for done := x.length <= 0; !done && err == nil && len(b) < cap(b); {
		var n int
		n, done, err = x.readBody(b[len(b):cap(b)])
		b = b[:len(b)+n]
	}
	*x.buffer = b
	return err
}

func (x *exchange) releaseBuffer() {
	if x.buffer != nil && cap(*x.buffer) <= 2*bufferSize {
		buffers.Put(x.buffer)
	}
	x.buffer = nil
}

// readBody reads a part of the request body and reports whether it is the last.
func (x *exchange) readBody(p []byte) (n int, last bool, err error) {
	if x.length >= 0 {
		p = p[:min(x.length-x.read, int64(len(p)))]
	}
	n, err = x.req.Body.Read(p)
	x.read += int64(n)
	switch {
	case x.read == x.length:
		return n, true, nil
	case !errors.Is(err, io.EOF):
		return n, false, err
	case x.length >= 0:
		return n, false, errBodyShort
	}
	return n, true, nil
}

// sendRest sends the rest of the body. The response may arrive meanwhile.
func (x *exchange) sendRest() {
	bodyErr, writeErr := x.copyRest()
	x.bodyErr, x.sent = bodyErr, bodyErr == nil && writeErr == nil
	close(x.rest)
	if bodyErr != nil {
		x.conn.Close() // so that the server does not take the body for complete, and receive does not wait
	}
	x.closeBody()
}

func (x *exchange) copyRest() (bodyErr, writeErr error) {
	p := parts.Get().(*[partSize]byte)
	defer parts.Put(p)
	for {
		n, last, err := x.readBody(p[chunkHeader : partSize-chunkEnd])
		if err != nil {
			return err, nil
		}
		part := p[chunkHeader : chunkHeader+n]
		if x.length < 0 {
			part = chunk(p[:], n, last)
		}
		if len(part) > 0 {
			if _, err := x.conn.Write(part); err != nil {
				return nil, err
			}
		}
		if last {
			return nil, nil
		}
	}
}

const (
	partSize    = chunkHeader + 16<<10 + chunkEnd
	chunkHeader = len("4000\r\n")
	chunkEnd    = len("\r\n" + lastChunk)
	lastChunk   = "0\r\n\r\n"
)

var parts = sync.Pool{New: func() any { return new([partSize]byte) }}

// chunk makes a chunk (RFC 9112, section 7.1) of the n bytes at p[chunkHeader:], followed by the last chunk if last is
// true.
func chunk(p []byte, n int, last bool) []byte {
	c := p[chunkHeader : chunkHeader+n]
	if n > 0 {
		size := append(strconv.AppendInt(make([]byte, 0, chunkHeader), int64(n), 16), '\r', '\n')
		c = p[chunkHeader-len(size) : chunkHeader+n]
		copy(c, size)
		c = append(c, '\r', '\n')
	}
	if last {
		c = append(c, lastChunk...)
	}
	return c
}
