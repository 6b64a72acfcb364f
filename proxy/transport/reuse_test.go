package transport

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const hi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

// TestConnectionIsReused sends requests of all forms one after the other. They share a connection.
func TestConnectionIsReused(t *testing.T) {
	older := overTLS(t)
	older.scheme, older.client.MaxVersion = "https with TLS 1.2", tls.VersionTLS12
	for _, n := range []network{{scheme: "http"}, overTLS(t), older} {
		t.Run(n.scheme, func(t *testing.T) {
			url, connections := n.serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch body, _ := io.ReadAll(r.Body); r.URL.Path {
				case "/none":
					w.WriteHeader(http.StatusNoContent)
				case "/chunked":
					_ = http.NewResponseController(w).Flush()
					_, _ = w.Write(body)
				default:
					w.Header().Set("Content-Length", strconv.Itoa(len(body)))
					_, _ = w.Write(body)
				}
			})
			own := n.own(t)
			for i := range 30 {
				path, body := []string{"/none", "/chunked", "/length"}[i%3], strings.Repeat("x", i*1000)
				want := body
				if path == "/none" {
					want = ""
				}
				if got, err := send(t, own, "POST", url+path, body); err != nil || got != want {
					t.Fatalf("response %d = %d bytes, %v; want %d bytes", i, len(got), err, len(want))
				}
			}
			if got := connections.Load(); got != 1 {
				t.Errorf("connections = %d, want 1", got)
			}
		})
	}
}

// TestConcurrentRequests sends requests in parallel. Each gets its own response.
func TestConcurrentRequests(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		url, _ := n.serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = w.Write(body)
		})
		own := n.own(t)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				for j := range 30 {
					want := strings.Repeat(fmt.Sprintf("%d-%d ", i, j), 1+(i*j*7)%2000)
					if got, err := send(t, own, "POST", url, want); err != nil || got != want {
						t.Errorf("response = %d bytes, %v; want %d bytes", len(got), err, len(want))
						return
					}
				}
			})
		}
		all.Wait()
	})
}

// TestConnectionIsNotReused has responses after which the state of the connection is unknown.
func TestConnectionIsNotReused(t *testing.T) {
	for name, response := range map[string]string{
		"to be closed":      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.0":          "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"more than it says": hi + hi,
		"bad chunk":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, n network) {
				url, connections := n.script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
					_, _ = io.WriteString(c, response)
					_, _ = io.Copy(io.Discard, r) // the server does not close
				})
				own := n.own(t)
				for range 2 {
					if got, _ := send(t, own, "POST", url, "x"); got != "hi" {
						t.Errorf("response = %q, want hi", got)
					}
				}
				if got := connections.Load(); got != 2 {
					t.Errorf("connections = %d, want 2", got)
				}
			})
		})
	}
}

// TestResponseBeforeTheBodyEnds gets a whole response while the request body is still being sent. No other request may
// use the connection, because the rest of the body would be read as a request.
func TestResponseBeforeTheBodyEnds(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		url, connections := n.script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
			_, _ = io.WriteString(c, hi)
			_, _ = io.Copy(io.Discard, r)
		})
		own := n.own(t)
		body, w := io.Pipe()
		defer w.Close()
		req, _ := http.NewRequest("POST", url, body)
		go func() { _, _ = w.Write(make([]byte, 64<<10)) }()
		if o := outcomeOf(t, own, req); o.Body != "hi" {
			t.Fatalf("response = %+v, want hi", o)
		}
		if got, err := send(t, own, "POST", url, "x"); err != nil || got != "hi" {
			t.Errorf("next response = %q, %v, want hi", got, err)
		}
		if got := connections.Load(); got != 2 {
			t.Errorf("connections = %d, want 2", got)
		}
	})
}

// TestIdleConnectionIsNotQuiet has servers that close an idle connection or send something on it. The next request must
// not be sent on it, and must not get a response that the server sent before.
func TestIdleConnectionIsNotQuiet(t *testing.T) {
	forged := "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
	closeWrite := func(c net.Conn) { _ = c.(interface{ CloseWrite() error }).CloseWrite() }
	for _, tt := range []struct {
		name    string
		respond func(c net.Conn) // together with the response
		later   func(c net.Conn) // once the response was read
		tlsOnly bool
	}{
		{"closed", nil, func(c net.Conn) { c.Close() }, false},
		{"closed for writing", nil, closeWrite, false},
		{"another response", nil, func(c net.Conn) { _, _ = io.WriteString(c, forged) }, false},
		{"closed together with the response", func(c net.Conn) { c.Close() }, nil, false},
		{"TLS closed together with the response", closeWrite, nil, true},
		{"another TLS record together with the response", func(c net.Conn) { _, _ = io.WriteString(c, forged) }, nil, true},
		{"TCP closed without TLS", nil, func(c net.Conn) { c.(*tls.Conn).NetConn().Close() }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, n network) {
				if tt.tlsOnly && n.server == nil {
					return
				}
				read, done, second := make(chan struct{}), make(chan struct{}), make(chan string, 1)
				url, connections := n.script(t, func(req *http.Request, r *bufio.Reader, c net.Conn) {
					if req.URL.Path != "/first" {
						_, _ = io.WriteString(c, hi)
						return
					}
					respond := func(c net.Conn) {
						_, _ = io.WriteString(c, hi)
						if tt.respond != nil {
							tt.respond(c)
						}
					}
					if secure, ok := c.(*tls.Conn); ok {
						atOnce(secure, respond)
					} else {
						respond(c)
					}
					<-read
					if tt.later != nil {
						tt.later(c)
					}
					close(done)
					if req, err := http.ReadRequest(r); err == nil {
						second <- req.Method
					}
				})
				own := n.own(t)
				if got, err := send(t, own, "GET", url+"/first", ""); err != nil || got != "hi" {
					t.Fatalf("first response = %q, %v, want hi", got, err)
				}
				close(read)
				<-done
				if got, err := send(t, own, "POST", url+"/second", "x"); err != nil || got != "hi" {
					t.Errorf("second response = %q, %v, want hi", got, err)
				}
				select {
				case method := <-second:
					t.Errorf("a %s was sent on the connection", method)
				default:
				}
				if got := connections.Load(); got != 2 {
					t.Errorf("connections = %d, want 2", got)
				}
			})
		})
	}
}
