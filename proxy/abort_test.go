package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
)

// awaitRequestLine waits for the log line of a request, and checks that it contains the words.
func awaitRequestLine(t *testing.T, log *testkit.Buffer, words ...string) {
	t.Helper()
	var line string
	testkit.Eventually(t, "log line of a request", func() bool {
		for l := range strings.Lines(log.String()) {
			if strings.Contains(l, `"message":"request"`) {
				line = l
			}
		}
		return line != ""
	})
	for _, w := range words {
		if !strings.Contains(line, w) {
			t.Errorf("log line = %s, want %s", line, w)
		}
	}
}

// TestBodyTooLargeDuringTheResponse has a client whose body exceeds --max-body, or breaks the rules, after its response
// has begun. The connection to the upstream ends then, but the upstream is not to blame.
func TestBodyTooLargeDuringTheResponse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ more, code, reason string }{
		"too large": {"800\r\n" + strings.Repeat("x", 2<<10) + "\r\n", "body_too_large", "larger than this gate accepts, after the response had begun"},
		"malformed": {"no chunk\r\n", "bad_request", "malformed or incomplete, after the response had begun"},
	} {
		t.Run(name, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
					control := http.NewResponseController(w)
					_ = control.EnableFullDuplex()
					w.Header().Set("Content-Type", "text/event-stream")
					_ = control.Flush()
					_, _ = io.Copy(io.Discard, r.Body)
				}, func(o *proxy.Options) {
					change(o)
					o.MaxBody = 1 << 10
				})
				conn := g.dial(t)
				fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", botA, bearerOf(secretA))
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || res.StatusCode != 200 {
					t.Fatalf("response = %v, %v, want 200", res, err)
				}
				defer res.Body.Close()
				fmt.Fprint(conn, tt.more)
				if _, err := io.ReadAll(res.Body); err == nil {
					t.Error("the response ended as if it were whole")
				}
				awaitRequestLine(t, g.log, `"status":200`, `"level":"warn"`, `"code":"`+tt.code+`"`, tt.reason)
			})
		})
	}
}

// TestListenerThatFails closes the listener under a serving gate. Open requests end, and the log does not say that their
// clients left.
func TestListenerThatFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		status  int
		code    string
	}{
		"before a response": {func(_ http.ResponseWriter, r *http.Request) { untilGone(r) }, 503, "draining"},
		"during a response": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_ = http.NewResponseController(w).Flush()
			untilGone(r)
		}, 200, "drain_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, tt.handler, nil)
			listen := func() net.Listener {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			data := listen()
			g.address = data.Addr().String()
			ended := make(chan error, 1)
			go func() { ended <- g.proxy.Serve(t.Context(), data, listen(), g.admin, time.Minute) }()
			conn := g.dial(t)
			fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\n\r\n", botA, bearerOf(secretA))
			in := bufio.NewReader(conn)
			if tt.status == 200 {
				if _, err := in.Peek(1); err != nil {
					t.Fatal(err)
				}
			} else {
				testkit.Eventually(t, "request at the upstream", func() bool { _, _, n := g.upstream.last(); return n == 1 })
			}
			data.Close()
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.StatusCode != tt.status {
				t.Fatalf("response = %v, %v, want %d", res, err, tt.status)
			}
			res.Body.Close()
			if err := <-ended; err == nil {
				t.Error("Serve = nil, want the listener's error")
			}
			awaitRequestLine(t, g.log, `"code":"`+tt.code+`"`, "a listener of the gate failed")
		})
	}
}

// TestWebsocketThatIsCut checks that the log says why a websocket was cut.
func TestWebsocketThatIsCut(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cut  func(t *testing.T, s *served)
		code string
	}{
		"drain": {func(_ *testing.T, s *served) { s.stop() }, "drain_timeout"},
		"revoked": {func(t *testing.T, s *served) {
			testkit.ReplaceFile(t, s.keys, strings.Replace(keyFile, "{id: key-a,", "{id: key-a, disabled: true,", 1))
			s.adminGet(t, "POST", "/-/reload")
		}, "key_revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveGateWith(t, hijacked(func(conn *net.TCPConn, rw *bufio.ReadWriter) { _, _ = io.Copy(conn, rw) }), 0, func(o *proxy.Options) {
				withWebsockets(o)
				o.CutRevoked = true
			})
			_, r := s.websocket(t, "")
			tt.cut(t, s)
			_, _ = io.Copy(io.Discard, r)
			awaitRequestLine(t, s.log, `"status":101`, `"code":"`+tt.code+`"`)
		})
	}
}
