package transport

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// appendHeader appends the request line and the header of a request to b, as net/http's Transport writes them, but
// without adding a User-Agent. Anything that servers could read in different ways is an error.
func appendHeader(b []byte, req *http.Request) ([]byte, error) {
	method, target, host := cmp.Or(req.Method, http.MethodGet), req.URL.RequestURI(), cmp.Or(req.Host, req.URL.Host)
	if !isToken(method) || !consistsOf(target, inTarget) || !consistsOf(host, inTarget) {
		return b, fmt.Errorf("request line %q %q for host %q is invalid", method, target, host)
	}
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\n"...)
	for name, values := range req.Header {
		if isFraming(name) || name == "User-Agent" && (len(values) == 0 || values[0] == "") {
			continue
		}
		for _, v := range values {
			if !isToken(name) || !consistsOf(v, inValue) {
				return b, fmt.Errorf("header %q is invalid", name)
			}
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
			b = append(b, "\r\n"...)
		}
	}
	switch length := bodyLength(req); {
	case length > 0, length == 0 && (method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		b = append(b, "\r\n"...)
	case length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(b, "\r\n"...), nil
}

// isFraming reports whether a header, in any spelling, is written from other fields of the request than Header.
func isFraming(name string) bool {
	return slices.ContainsFunc([]string{"Host", "Content-Length", "Transfer-Encoding", "Trailer"}, func(framing string) bool {
		return len(name) == len(framing) && strings.EqualFold(name, framing)
	})
}

// The classes of bytes in a request header (RFC 9110, section 5).
const (
	inToken  = 1 << iota // a method or the name of a header
	inTarget             // a target or host
	inValue              // the value of a header
)

var classes = func() (classes [256]byte) {
	for c := range classes {
		if c == '\t' || c >= ' ' && c != 0x7f {
			classes[c] |= inValue
		}
		if c > ' ' && c != 0x7f {
			classes[c] |= inTarget
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		classes[c] |= inToken
	}
	return classes
}()

func isToken(s string) bool { return s != "" && consistsOf(s, inToken) }

func consistsOf(s string, class byte) bool {
	for i := range len(s) {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return true
}
