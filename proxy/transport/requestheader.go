package transport

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// outgoing is how large a piece a request is sent in: the head and a small body together.
const outgoing = 8 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, outgoing); return &b }}

// head appends the request line and the headers of a request to b, as net/http's Transport writes them.
// What cannot stand in a line of its own is an error.
func head(b []byte, req *http.Request) ([]byte, error) {
	target := req.URL.RequestURI()
	if !plainLine(req.Method) || !plainLine(target) || strings.ContainsAny(req.Method+target, " ") {
		return b, fmt.Errorf("method %q or target %q cannot be sent", req.Method, target)
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	if !plainLine(host) {
		return b, fmt.Errorf("host %q cannot be sent", host)
	}
	b = append(b, req.Method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\n"...)
	for name, values := range req.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer": // written here, from the request
			continue
		case "User-Agent": // an empty one stands for none
			if len(values) == 0 || values[0] == "" {
				continue
			}
		}
		for _, v := range values {
			if !plainLine(name) || !plainLine(v) {
				return b, fmt.Errorf("header %q cannot be sent", name)
			}
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
			b = append(b, "\r\n"...)
		}
	}
	switch length := bodyLength(req); {
	case length > 0, length == 0 && (req.Method == http.MethodPost || req.Method == http.MethodPut || req.Method == http.MethodPatch):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		b = append(b, "\r\n"...)
	case length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(b, "\r\n"...), nil
}

// plainLine reports whether s has nothing in it that ends a line.
func plainLine(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '\r' || c == '\n' || c == 0 {
			return false
		}
	}
	return true
}

// bodyLength is the length of a request's body, or -1 if it is not known.
func bodyLength(req *http.Request) int64 {
	if req.Body == nil || req.Body == http.NoBody {
		return 0
	}
	if req.ContentLength != 0 {
		return req.ContentLength
	}
	return -1
}

// errBodyShort is the error of a body that ends too early.
var errBodyShort = errors.New("the request body is shorter than its Content-Length")

// pieces are buffers for bodies that are sent bit by bit.
var pieces = sync.Pool{New: func() any { return new([chunkHead + 16<<10 + 2]byte) }}

// chunkHead is room for the line before a chunk (RFC 9112, section 7.1).
const chunkHead = 10

// chunk puts the line before a chunk of n bytes, which begins at p[chunkHead:], and the line's end after
// it, and returns all of it.
func chunk(p []byte, n int) []byte {
	var line [chunkHead]byte
	size := append(strconv.AppendInt(line[:0], int64(n), 16), '\r', '\n')
	begin := chunkHead - len(size)
	copy(p[begin:], size)
	return append(p[begin:chunkHead+n], '\r', '\n')
}
