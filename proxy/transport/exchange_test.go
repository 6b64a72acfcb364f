package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestRequestIsSentOnce has a server that reads a request on a reused connection and closes it without a response. The
// server may have carried out the request, so it must not be sent again.
func TestRequestIsSentOnce(t *testing.T) {
	for _, tt := range []struct {
		name, method, body string
		header             []string
	}{
		{"GET", "GET", "", nil},
		{"DELETE", "DELETE", "", nil},
		{"POST", "POST", "x", nil},
		{"POST with a key", "POST", "x", []string{"Idempotency-Key", "1"}},
		{"POST with a key and no body", "POST", "", []string{"X-Idempotency-Key", "1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, n network) {
				var requests atomic.Int64
				url, connections := n.script(t, func(req *http.Request, r *bufio.Reader, c net.Conn) {
					requests.Add(1)
					_, _ = io.Copy(io.Discard, req.Body)
					_, _ = io.WriteString(c, hi)
					if _, err := http.ReadRequest(r); err == nil {
						requests.Add(1)
					}
				})
				own := n.own(t)
				if got, err := send(t, own, tt.method, url, tt.body, tt.header...); err != nil || got != "hi" {
					t.Fatalf("first response = %q, %v, want hi", got, err)
				}
				if got, err := send(t, own, tt.method, url, tt.body, tt.header...); err == nil {
					t.Errorf("second response = %q, want an error", got)
				}
				if requests.Load() != 2 || connections.Load() != 1 {
					t.Errorf("requests = %d on %d connections, want 2 on 1", requests.Load(), connections.Load())
				}
			})
		})
	}
}

// brokenConn is a connection that fails when it is written to.
type brokenConn struct{ net.Conn }

func (brokenConn) Write([]byte) (int, error) { return 0, errors.New("broken") }

// TestUnsentRequestIsSentAgain breaks an idle connection in a way that only a write detects. If a new connection breaks,
// that is an error.
func TestUnsentRequestIsSentAgain(t *testing.T) {
	n := network{scheme: "http"}
	url, _ := n.serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	dials := 0
	own := n.own(t)
	own.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := n.dial(ctx, network, addr)
		if dials++; dials == 3 {
			c = brokenConn{c}
		}
		return c, err
	}
	if got, err := send(t, own, "POST", url, "first"); err != nil || got != "first" || dials != 1 {
		t.Fatalf("first response = %q, %v on connection %d, want first on 1", got, err, dials)
	}
	c := own.pool.idle[0]
	c.Conn = brokenConn{c.Conn}
	if got, err := send(t, own, "POST", url, "second"); err != nil || got != "second" || dials != 2 {
		t.Errorf("second response = %q, %v on connection %d, want second on 2", got, err, dials)
	}
	own.CloseIdleConnections()
	if got, err := send(t, own, "POST", url, "third"); err == nil || dials != 3 {
		t.Errorf("third response = %q on connection %d, want an error on 3", got, dials)
	}
}

// TestCancelled ends the context of requests in each of their states. Each returns the cause, and no connection is kept.
func TestCancelled(t *testing.T) {
	cause := errors.New("enough")
	for _, state := range []string{"before it is sent", "before the header", "in the body", "in the upload"} {
		t.Run(state, func(t *testing.T) {
			overBoth(t, func(t *testing.T, n network) {
				ctx, cancel := context.WithCancelCause(t.Context())
				var requests atomic.Int64
				ended := make(chan struct{})
				url, _ := n.script(t, func(req *http.Request, r *bufio.Reader, c net.Conn) {
					defer close(ended)
					if req.URL.Path == "/first" {
						_, _ = io.WriteString(c, hi)
						if _, err := http.ReadRequest(r); err != nil {
							return
						}
					}
					requests.Add(1)
					switch state {
					case "in the body":
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
					case "in the upload":
						_, _ = io.ReadFull(req.Body, make([]byte, 10))
					}
					cancel(cause)
					_, _ = io.Copy(io.Discard, r)
				})
				own := n.own(t)
				body := io.Reader(strings.NewReader("x"))
				wantRequests := int64(1)
				switch state {
				case "before it is sent": // there is an idle connection that it could be sent on
					if got, err := send(t, own, "GET", url+"/first", ""); err != nil || got != "hi" {
						t.Fatalf("first response = %q, %v, want hi", got, err)
					}
					cancel(cause)
					wantRequests = 0
				case "in the upload":
					r, w := io.Pipe()
					defer w.Close()
					go func() { _, _ = w.Write(make([]byte, 10)) }()
					body = r
				}
				req, _ := http.NewRequestWithContext(ctx, "POST", url, body)
				res, err := own.RoundTrip(req)
				if err == nil {
					_, err = io.ReadAll(res.Body)
					res.Body.Close()
				}
				if !errors.Is(err, cause) {
					t.Errorf("error = %v, want the context's cause", err)
				}
				own.CloseIdleConnections()
				<-ended // blocks for good if a connection is still open
				if got := requests.Load(); got != wantRequests {
					t.Errorf("requests = %d, want %d", got, wantRequests)
				}
			})
		})
	}
}

// TestEarlyResponse gets a response while the request body is still being sent, as from net/http's Transport.
func TestEarlyResponse(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		for name, rt := range n.both(t) {
			t.Run(name, func(t *testing.T) {
				url, _ := n.script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
					n, _ := io.CopyN(io.Discard, r, 1<<20)
					fmt.Fprintf(c, "%x\r\n%d\r\n0\r\n\r\n", len(fmt.Sprint(n)), n)
					_, _ = io.Copy(io.Discard, r)
				})
				body, w := io.Pipe()
				req, _ := http.NewRequest("POST", url, body)
				go func() { _, _ = w.Write(make([]byte, 64<<10)) }()
				res, err := rt.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				early := make([]byte, 5)
				if _, err := io.ReadFull(res.Body, early); err != nil || string(early) != "early" {
					t.Fatalf("body = %q, %v, want early", early, err)
				}
				go func() { _, _ = w.Write(make([]byte, 2<<20)); w.Close() }()
				rest, err := io.ReadAll(res.Body)
				if err != nil || string(rest) != fmt.Sprint(1<<20) {
					t.Errorf("rest of the body = %q, %v, want %d", rest, err, 1<<20)
				}
			})
		}
	})
}

// TestUploadFails has a request body that fails half-way. The server must not take it for complete, and the error is the
// body's.
func TestUploadFails(t *testing.T) {
	broken := errors.New("the client is gone")
	overBoth(t, func(t *testing.T, n network) {
		for _, length := range []int64{-1, 1 << 20} {
			t.Run(fmt.Sprint(length), func(t *testing.T) {
				seen := make(chan error, 1)
				url, _ := n.script(t, func(req *http.Request, _ *bufio.Reader, _ net.Conn) {
					_, err := io.Copy(io.Discard, req.Body)
					seen <- err
				})
				body, w := io.Pipe()
				req, _ := http.NewRequest("POST", url, body)
				req.ContentLength = length
				go func() {
					_, _ = w.Write(make([]byte, 100<<10))
					w.CloseWithError(broken)
				}()
				if _, err := n.own(t).RoundTrip(req); !errors.Is(err, broken) {
					t.Errorf("error = %v, want the body's", err)
				}
				if err := <-seen; err == nil {
					t.Error("the server took the body for complete")
				}
			})
		}
	})
}

// TestHeaderLimit sends response headers that are too large, by themselves or together with the interim responses before
// them.
func TestHeaderLimit(t *testing.T) {
	for name, response := range map[string]string{
		"header":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeader),
		"interim": strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", maxHeader/30) + hi,
	} {
		t.Run(name, func(t *testing.T) {
			n := network{scheme: "http"}
			url, _ := n.script(t, func(_ *http.Request, _ *bufio.Reader, c net.Conn) { _, _ = io.WriteString(c, response) })
			if got, err := send(t, n.own(t), "GET", url, ""); !errors.Is(err, errHeaderTooLarge) {
				t.Errorf("response = %q, %v, want %v", got, err, errHeaderTooLarge)
			}
		})
	}
}

// TestUpgrade speaks another protocol on the connection. Its first bytes come together with the response, and one
// direction ends before the other.
func TestUpgrade(t *testing.T) {
	overBoth(t, func(t *testing.T, n network) {
		url, _ := n.script(t, func(_ *http.Request, r *bufio.Reader, c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst ")
			said, _ := io.ReadAll(r)
			_, _ = c.Write(bytes.ToUpper(said))
		})
		for name, rt := range n.both(t) {
			t.Run(name, func(t *testing.T) {
				req, _ := http.NewRequest("GET", url, nil)
				req.Header.Set("Connection", "Upgrade")
				req.Header.Set("Upgrade", "websocket")
				res, err := rt.RoundTrip(req)
				if err != nil || res.StatusCode != 101 {
					t.Fatal(res, err)
				}
				rwc, ok := res.Body.(io.ReadWriteCloser)
				if !ok {
					t.Fatalf("the response's body is a %T, want an io.ReadWriteCloser", res.Body)
				}
				defer rwc.Close()
				_, _ = io.WriteString(rwc, "second")
				if err := res.Body.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(rwc); string(got) != "first SECOND" {
					t.Errorf("read %q, %v, want first SECOND", got, err)
				}
			})
		}
	})
}

// TestDialAddress checks that the port of the scheme is dialed if the URL has none.
func TestDialAddress(t *testing.T) {
	for url, want := range map[string]string{
		"http://flowise":       "flowise:80",
		"http://flowise:81":    "flowise:81",
		"http://[::1]":         "[::1]:80",
		"http://[::1]:81":      "[::1]:81",
		"https://flowise":      "flowise:443",
		"https://flowise:3000": "flowise:3000",
		"https://[::1]":        "[::1]:443",
	} {
		got := ""
		rt := &Transport{Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
			got = addr
			return nil, errors.New("dialed")
		}}
		if _, err := send(t, rt, "GET", url, ""); err == nil || got != want {
			t.Errorf("RoundTrip to %s dialed %q, want %q", url, got, want)
		}
	}
}
