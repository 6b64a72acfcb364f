package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestInvalidRequests has requests that neither transport sends, some because a server would read them as two.
func TestInvalidRequests(t *testing.T) {
	var dialed atomic.Int64
	dial := func(context.Context, string, string) (net.Conn, error) {
		dialed.Add(1)
		return nil, errors.New("dialed")
	}
	for name, change := range map[string]func(*http.Request){
		"method":                 func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" },
		"space in the method":    func(r *http.Request) { r.Method = "GET /" },
		"header value":           func(r *http.Request) { r.Header.Set("X", "a\r\nY: b") },
		"zero in a value":        func(r *http.Request) { r.Header.Set("X", "a\x00b") },
		"escape in a value":      func(r *http.Request) { r.Header.Set("X", "a\x1bb") },
		"header name":            func(r *http.Request) { r.Header["X\r\nY"] = []string{"b"} },
		"colon in a name":        func(r *http.Request) { r.Header["X: y, Z"] = []string{"b"} },
		"space after a name":     func(r *http.Request) { r.Header["X "] = []string{"b"} },
		"no name":                func(r *http.Request) { r.Header[""] = []string{"b"} },
		"target":                 func(r *http.Request) { r.URL.Opaque = "/a\r\nX: y" },
		"ends before its length": withBody("POST", "x", 2),
		"failing":                func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(failingReader{}), 2 },
	} {
		t.Run(name, func(t *testing.T) {
			for by, rt := range map[string]http.RoundTripper{"own": &Transport{Dial: dial}, "standard": &http.Transport{DialContext: dial}} {
				req, _ := http.NewRequest("POST", "http://127.0.0.1:1/", strings.NewReader("x"))
				change(req)
				body := &countedBody{ReadCloser: req.Body}
				req.Body = body
				dialed.Store(0)
				res, err := rt.RoundTrip(req)
				if err == nil {
					res.Body.Close()
					t.Errorf("RoundTrip by %s = %v, want an error", by, res)
				}
				if by == "own" && dialed.Load() != 0 {
					t.Error("a connection was opened for it")
				}
				testkit.Eventually(t, "request body closed once", func() bool { return body.closed.Load() == 1 })
			}
		})
	}
}

// TestStricterThanStandard has requests that net/http's Transport changes before it sends them, or sends in a way that
// servers read differently.
func TestStricterThanStandard(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"host":              func(r *http.Request) { r.Host = "a\r\nX: y" },
		"space in the host": func(r *http.Request) { r.Host = "a b" },
		"space in a target": func(r *http.Request) { r.URL.Opaque = "/a b" },
	} {
		t.Run(name, func(t *testing.T) {
			rt := &Transport{Dial: func(context.Context, string, string) (net.Conn, error) {
				t.Error("a connection was opened for it")
				return nil, errors.New("dialed")
			}}
			req, _ := http.NewRequest("POST", "http://127.0.0.1:1/", nil)
			change(req)
			if res, err := rt.RoundTrip(req); err == nil {
				res.Body.Close()
				t.Errorf("RoundTrip = %v, want an error", res)
			}
		})
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("failing") }
