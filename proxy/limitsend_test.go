package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestDrainEndsAbandoned drains a gate while the upstream goes on with requests whose clients have left. They are cut
// like all others, and what they used is counted before the gate ends.
func TestDrainEndsAbandoned(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]bool{"before the response": false, "in the middle of the response": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits := &limit.Local{}
			s := serveGateWith(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if begun {
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = w.Write([]byte("data: x\n\n"))
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			}, 300*time.Millisecond, func(o *proxy.Options) {
				withKeys(t, limitsFile("concurrent: 1", "", ""))(o)
				o.Limiter = limits
			})
			conn := s.connect(t, fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 0\r\n\r\n", botA, bearerOf(secretA)))
			testkit.Eventually(t, "request at the upstream", func() bool { _, _, n := s.upstream.last(); return n == 1 })
			if begun {
				if _, err := bufio.NewReader(conn).ReadString('x'); err != nil {
					t.Fatal(err)
				}
			}
			conn.Close() // the gate notices it while it drains
			s.stop()
			if err := <-s.ended; err != nil {
				t.Fatal(err)
			}
			if n := limits.Open("key-a"); n != 0 {
				t.Errorf("requests that are not counted when the gate has ended = %d, want 0", n)
			}
		})
	}
}

// TestUnreachableIsNoUse: a request that cannot be sent because the upstream is gone does not count against a quota.
func TestUnreachableIsNoUse(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g, _ := limitedGate(t, nil, limitsFile("requests: 1/day", "", ""), func(o *proxy.Options) { change(o); unreachable(o) })
		for n := range 3 {
			if res := g.predict(t, botA, secretA); res.status != http.StatusBadGateway {
				t.Errorf("request %d without an upstream = %d %q, want 502", n+1, res.status, res.problem.Code)
			}
		}
	})
}

// TestNextRequestFindsItsPlace sends one request after the other, each on its own connection. A client that has the whole
// response has its place back.
func TestNextRequestFindsItsPlace(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, withKeys(t, limitsFile("concurrent: 1", "", "")))
	request := fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 0\r\n\r\n", botA, bearerOf(secretA))
	conns := []net.Conn{g.dial(t), g.dial(t)}
	readers := []*bufio.Reader{bufio.NewReader(conns[0]), bufio.NewReader(conns[1])}
	for n := range 500 {
		_ = conns[n%2].SetDeadline(time.Now().Add(testkit.Timeout))
		_, _ = io.WriteString(conns[n%2], request)
		res, err := http.ReadResponse(readers[n%2], nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("request %d, after the response to the one before = %d, want 200", n+1, res.StatusCode)
		}
	}
}
