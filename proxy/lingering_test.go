package proxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestResponseBeforeTheBody has clients that get the response early but send the whole body before they read it. No write
// may fail, the response must be whole, and nothing of the body may be taken for a request.
func TestResponseBeforeTheBody(t *testing.T) {
	t.Parallel()
	const size = 1 << 20 // more than sockets buffer
	predict := "/api/v1/prediction/" + botA
	early := func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusTeapot)
	}
	for _, tt := range []struct {
		name, line string // request line
		headers    []string
		first      int // bytes of the body that are sent with the header
		status     int
		code       problem.Code
	}{
		{"no key", "POST " + predict + " HTTP/1.1", nil, 1, 401, problem.MissingKey},
		{"no key, closing", "POST " + predict + " HTTP/1.1", []string{"Connection: close"}, 1, 401, problem.MissingKey},
		{"no key, HTTP/1.0", "POST " + predict + " HTTP/1.0", nil, 1, 401, problem.MissingKey},
		{"no key, nothing of the body at first", "POST " + predict + " HTTP/1.0", nil, 0, 401, problem.MissingKey},
		{"unknown key", "POST " + predict + " HTTP/1.1", []string{"Connection: close", bearerOf("unknown-0123456789abcdef")}, 1, 401, problem.InvalidKey},
		{"another chatflow's key", "POST " + predict + " HTTP/1.1", []string{"Connection: close", bearerOf(secretB)}, 1, 403, problem.KeyNotForChatflow},
		{"no route", "POST /api/v1/nothing HTTP/1.1", []string{"Connection: close"}, 1, 404, problem.NotExposed},
		{"no such method", "PUT " + predict + " HTTP/1.1", []string{"Connection: close"}, 1, 405, problem.MethodNotAllowed},
		{"no canonical path", "POST /" + predict + " HTTP/1.1", []string{"Connection: close"}, 1, 400, problem.NotCanonical},
		{"malformed for net/http", "POST " + predict + " HTTP/1.1", []string{"Connection: close", "Content Length: 5"}, 1, 400, ""},
		{"too large", "POST " + predict + " HTTP/1.1", []string{"Connection: close", bearerOf(secretA)}, 1, 413, problem.BodyTooLarge},
		{"the upstream responds early", "PUT /api/v1/webhook/" + botA + " HTTP/1.0", []string{bearerOf(secretOps)}, begun, 418, ""},
	} {
		for name, serve := range map[string]func(*testing.T, http.HandlerFunc, func(*proxy.Options)) (*served, net.Conn){"plain": dialPlain, "TLS": dialTLS} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				t.Parallel()
				s, conn := serve(t, early, func(o *proxy.Options) {
					if tt.code == problem.BodyTooLarge {
						o.MaxBody = size - 1
					}
				})
				header := tt.line + "\r\nHost: gate\r\n"
				for _, h := range tt.headers {
					header += h + "\r\n"
				}
				body := strings.Repeat("GET /api/v1/ping HTTP/1.1\r\nHost: gate\r\n\r\n", size/40)[:size]
				if _, err := fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n%s", header, size, body[:tt.first]); err != nil {
					t.Fatal(err)
				}
				in := bufio.NewReader(conn)
				first, err := in.Peek(1) // the response is there
				if err != nil {
					t.Fatal(err)
				}
				for rest := body[tt.first:]; rest != ""; rest = rest[min(len(rest), 16<<10):] {
					if _, err := io.WriteString(conn, rest[:min(len(rest), 16<<10)]); err != nil {
						t.Fatalf("sending the body after %q: %v", first, err)
					}
				}
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("reading the response: %v", err)
				}
				text, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != tt.status || !strings.Contains(string(text), string(tt.code)) {
					t.Errorf("response = %d %q, %v; want %d with code %q", res.StatusCode, text, err, tt.status, tt.code)
				}
				if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
					t.Errorf("after the response: %q, %v, want the end of the connection", rest, err)
				}
				testkit.Eventually(t, "end of the request", func() bool { return s.open() == 0 })
				if _, _, n := s.upstream.last(); n > 1 {
					t.Errorf("requests at the upstream = %d, want at most the one that it responds to early", n)
				}
			})
		}
	}
}

// dialPlain starts a gate and opens a connection to it.
func dialPlain(t *testing.T, handler http.HandlerFunc, change func(*proxy.Options)) (*served, net.Conn) {
	t.Helper()
	s := serveGateWith(t, handler, time.Second, change)
	return s, s.dial(t)
}

// dialTLS is dialPlain over TLS.
func dialTLS(t *testing.T, handler http.HandlerFunc, change func(*proxy.Options)) (*served, net.Conn) {
	t.Helper()
	s := serveTLS(t, handler, time.Second, change)
	config := s.ca.Client()
	config.ServerName = "127.0.0.1"
	conn := tls.Client(s.dial(t), config)
	return s.served, conn
}

// TestLingeringAndTheDrain ends a gate while a client that got its response goes on sending. No request is open, and the
// gate waits for this client no longer than for others whose connections are to be closed.
func TestLingeringAndTheDrain(t *testing.T) {
	t.Parallel()
	s := serveGate(t, nil, 10*time.Second)
	conn := s.dial(t)
	fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.0\r\nContent-Length: 1000000\r\n\r\nx", botA)
	if res := readResponse(t, conn); res.status != 401 {
		t.Fatalf("response = %d, want 401", res.status)
	}
	testkit.Eventually(t, "end of the request", func() bool { return s.open() == 0 })
	if _, err := io.WriteString(conn, "more of the body"); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	s.stop()
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if took := time.Since(begin); took > 8*time.Second { // 2 s on a machine that is not busy
		t.Errorf("Serve ended after %v, want 2 s", took)
	}
}

// TestHTTP2ResponseBeforeTheBody refuses requests with large bodies over one connection of HTTP/2.
func TestHTTP2ResponseBeforeTheBody(t *testing.T) {
	t.Parallel()
	const maxBody = 1 << 20
	s := serveTLS(t, nil, time.Second, func(o *proxy.Options) { o.MaxBody, o.FailureLimit.Burst = maxBody, -1 })
	client := s.client(t)
	for _, size := range []int{1, 16_000, maxBody, 2 * maxBody} {
		for key, want := range map[string]int{"": 401, secretB: 403, secretA: 413} {
			if key == secretA && size <= maxBody {
				continue
			}
			for range atFullSize(100, 10) {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"/api/v1/prediction/"+botA, strings.NewReader(strings.Repeat("x", size)))
				if err != nil {
					t.Fatal(err)
				}
				if key != "" {
					req.Header.Set("Authorization", "Bearer "+key)
				}
				res, err := client.Do(req)
				if err != nil {
					t.Fatalf("%d bytes: %v, want %d", size, err, want)
				}
				text, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != want || res.ProtoMajor != 2 || !strings.Contains(string(text), `"code"`) {
					t.Fatalf("%d bytes: response = %s %d %q, %v; want HTTP/2 and %d with a problem", size, res.Proto, res.StatusCode, text, err, want)
				}
			}
		}
	}
}

// TestWholeRequestsDoNotLinger closes connections whose requests were read completely: at once, and at no cost. A client
// that goes on sending gets a reset.
func TestWholeRequestsDoNotLinger(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"no body":   "GET /api/v1/ping HTTP/1.0\r\n\r\n",
		"forwarded": "POST /api/v1/prediction/" + botA + " HTTP/1.0\r\n" + bearerOf(secretA) + "\r\nContent-Length: 2\r\n\r\n{}",
		"refused":   "POST /api/v1/prediction/" + botA + " HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n",
	} {
		for over, dial := range map[string]func(*testing.T, http.HandlerFunc, func(*proxy.Options)) (*served, net.Conn){"plain": dialPlain, "TLS": dialTLS} {
			t.Run(name+", "+over, func(t *testing.T) {
				_, conn := dial(t, nil, nil)
				fmt.Fprint(conn, request)
				if _, err := io.ReadAll(conn); err != nil {
					t.Fatal(err)
				}
				testkit.EventuallyWithin(t, 10*time.Second, "reset", func() bool {
					_, err := io.WriteString(conn, "more")
					return err != nil
				})
			})
		}
	}
}

// TestHTTP2RefusalIsNotReset refuses requests whose bodies are still on their way. The stream is not reset after the
// response, because curl would then drop the response.
func TestHTTP2RefusalIsNotReset(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, nil, time.Second, func(o *proxy.Options) { o.FailureLimit.Burst = -1 })
	c := s.dialH2(t)
	for range 20 {
		id := c.send(t, post("/api/v1/prediction/"+botA), false)
		c.ping(t, id) // the gate has the request, and may have refused it already
		for range 3 {
			_ = c.framer.WriteData(id, false, make([]byte, 4<<10))
		}
		_ = c.framer.WriteData(id, true, nil)
		res := c.response(t, id)
		if res.status != 401 || res.reset != nil || res.problem.Code != string(problem.MissingKey) {
			t.Fatalf("response = %d %s, reset %v, want 401 and no reset", res.status, res.body, res.reset)
		}
		c.ping(t, id)
	}
	c.alive(t)
}

// ping waits until the gate has read what was sent. Meanwhile, the stream must not be reset.
func (c *h2) ping(t *testing.T, id uint32) {
	t.Helper()
	if err := c.framer.WritePing(false, [8]byte{1}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		c.acknowledge(f)
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				t.Fatalf("stream %d was reset: %v", id, f.ErrCode)
			}
		case *http2.PingFrame:
			if f.IsAck() {
				return
			}
		}
	}
}
