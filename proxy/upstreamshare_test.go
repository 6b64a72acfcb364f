package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// stalled is an upstream that does not respond to requests without a key, and counts those that wait.
func stalled(waiting *atomic.Int64) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			waiting.Add(1)
			defer waiting.Add(-1)
			untilGone(r)
		}
	}
}

// ping sends a request without a key from a client address, and leaves its response unread.
func (g *gate) ping(t *testing.T, client string) net.Conn {
	t.Helper()
	conn := g.dial(t)
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /api/v1/ping HTTP/1.1\r\nHost: gate\r\nX-Forwarded-For: %s\r\n\r\n", client)
	return conn
}

// TestRequestsWithoutAKeyHaveAShareOfTheUpstream has an upstream that stalls. One client without a key gets no more than
// its share of connections to it, all such clients together no more than theirs, and clients with a key are not affected.
func TestRequestsWithoutAKeyHaveAShareOfTheUpstream(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]struct{ forwarded, each, all int }{
		"as many as there are": {0, 32, 256},
		"few descriptors":      {96, 6, 24},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var waiting atomic.Int64
			g := newGate(t, stalled(&waiting), func(o *proxy.Options) { behindProxy(o); o.MaxForwarded = limit.forwarded })
			waits := func(n int) {
				t.Helper()
				testkit.Eventually(t, fmt.Sprintf("%d requests at the upstream", n), func() bool { return int(waiting.Load()) == n })
			}
			var conns []net.Conn
			for range limit.each {
				conns = append(conns, g.ping(t, "192.0.2.1"))
			}
			waits(limit.each)
			res := readResponse(t, g.ping(t, "192.0.2.1"))
			checkProblem(t, res, 503, problem.Overloaded)
			if res.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After = %q, want 1", res.header.Get("Retry-After"))
			}
			// An address may share the counter of one whose share is used up. It is refused then, and another takes its
			// place.
			seen := func() int64 {
				all, _ := g.proxy.Stats().Totals()
				return waiting.Load() + int64(all.Requests)
			}
			for i := 0; int(waiting.Load()) < limit.all; i++ {
				before := seen()
				conns = append(conns, g.ping(t, fmt.Sprintf("192.0.%d.%d", 3+i/256, i%256)))
				testkit.Eventually(t, "request at the upstream, or refused", func() bool { return seen() > before })
			}
			waits(limit.all)
			checkProblem(t, readResponse(t, g.ping(t, "192.0.2.2")), 503, problem.Overloaded)
			for range 10 {
				if res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA)); res.status != 200 {
					t.Errorf("request with a key = %d %s, want 200", res.status, res.problem.Code)
				}
			}
			for _, conn := range conns {
				conn.Close()
			}
			waits(0)
			testkit.Eventually(t, "share that is given back", func() bool { return g.open() == 0 })
			g.ping(t, "192.0.2.1")
			waits(1)
		})
	}
}

// TestForwardedRequestsAreLimited has fewer file descriptors than clients with a key ask for.
func TestForwardedRequestsAreLimited(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g := newGate(t, func(http.ResponseWriter, *http.Request) { <-release }, func(o *proxy.Options) { o.MaxForwarded = 3 })
	request := fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 0\r\n\r\n", botA, bearerOf(secretA))
	var conns []net.Conn
	for range 3 {
		conn := g.dial(t)
		_, _ = io.WriteString(conn, request)
		conns = append(conns, conn)
	}
	testkit.Eventually(t, "requests at the upstream", func() bool { _, _, n := g.upstream.last(); return n == 3 })
	checkProblem(t, g.raw(t, request), 503, problem.Overloaded)
	const ping = "GET /api/v1/ping HTTP/1.1\r\nHost: gate\r\n\r\n" // takes the only place for requests without a key, and gives it back
	checkProblem(t, g.raw(t, ping), 503, problem.Overloaded)
	close(release)
	for _, conn := range conns {
		if res := readResponse(t, conn); res.status != 200 {
			t.Errorf("response = %d, want 200", res.status)
		}
	}
	for _, request := range []string{request, ping} {
		if res := g.raw(t, request); res.status != 200 {
			t.Errorf("response after that = %d, want 200", res.status)
		}
	}
}

// TestPingsThatAreGivenUp has clients leave before the response, with each transport. Their connections to the upstream
// serve the next requests.
func TestPingsThatAreGivenUp(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		arrived, respond := make(chan struct{}, 1), make(chan struct{})
		g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
			arrived <- struct{}{}
			<-respond
			_, _ = io.WriteString(w, "pong")
		}, func(o *proxy.Options) { change(o); o.FailureLimit.Burst = -1 })
		const requests = 8
		for range requests {
			conn := g.ping(t, "")
			<-arrived
			conn.Close()
			testkit.Poll(100*time.Millisecond, func() bool { return g.open() == 0 }) // a gate that cancels it would have done so by then
			respond <- struct{}{}
			testkit.Eventually(t, "end of the request", func() bool { return g.open() == 0 })
		}
		if n := g.upstream.connections.Load(); n > 3 {
			t.Errorf("connections to the upstream = %d for %d requests, want 1", n, requests)
		}
	})
}

// TestPingsThatAreGivenUpEnd has clients leave while the upstream is silent. Their requests end soon afterwards.
func TestPingsThatAreGivenUpEnd(t *testing.T) {
	t.Parallel()
	var waiting atomic.Int64
	g := newGate(t, stalled(&waiting), nil)
	for range 5 {
		conn := g.ping(t, "")
		defer conn.Close()
	}
	testkit.Eventually(t, "requests at the upstream", func() bool { return waiting.Load() == 5 })
	g.CloseClientConnections()
	testkit.EventuallyWithin(t, 30*time.Second, "end of the requests", func() bool { return waiting.Load() == 0 && g.open() == 0 })
}
