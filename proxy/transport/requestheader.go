package transport

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// appendHeader appends the request line and the header of a request to b, as net/http's Transport writes them. A
// request that could be read as two is an error.
func appendHeader(b []byte, req *http.Request) ([]byte, error) {
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
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer": // from the request's fields, not from here
			continue
		case "User-Agent": // an empty one means none
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
