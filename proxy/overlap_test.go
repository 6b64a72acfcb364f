package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
)

// earlyRunner is a runner that answers the head of a request and reads nothing more of it.
func earlyRunner(t *testing.T, answer string) func(*proxy.Options) {
	t.Helper()
	runner := hangingUp(t, func(c net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = io.WriteString(c, answer)
		_, _ = io.Copy(io.Discard, c)
	})
	return func(o *proxy.Options) { o.Upstream = runner }
}

// TestLimitIsPassedWhileTheAnswerBegins has callers go past --max-body at the moment in which the head of the
// answer comes. It is for the race detector; without it, the process may end with "concurrent map writes", from which
// no handler can recover.
func TestLimitIsPassedWhileTheAnswerBegins(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n"
	for i := range 1000 {
		head += fmt.Sprintf("X-%d: y\r\n", i)
	}
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		g := newGate(t, nil, func(o *proxy.Options) {
			change(o)
			o.Upstream = mustURL(t, "http://"+l.Addr().String())
			o.MaxBody = 1 << 10
		})
		for range 100 {
			caller := g.dial(t)
			fmt.Fprintf(caller, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", botA, bearerOf(secretA))
			runner, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			begun := bufio.NewReader(runner)
			for line := ""; !strings.Contains(line, "hello") && err == nil; {
				line, err = begun.ReadString('\n')
			}
			var both sync.WaitGroup
			both.Go(func() { _, _ = io.WriteString(runner, head+"\r\n") })
			both.Go(func() { fmt.Fprintf(caller, "800\r\n%s\r\n0\r\n\r\n", strings.Repeat("x", 2<<10)) })
			both.Wait()
			_, _ = io.Copy(io.Discard, caller)
			caller.Close()
			runner.Close()
		}
	})
}

// TestEarlyAnswersKeepNothing counts what is left in memory of requests that were answered while their bodies were
// still on the way: the timer of --upstream-timeout must not be set off again by the last read.
func TestEarlyAnswersKeepNothing(t *testing.T) {
	early := earlyRunner(t, "HTTP/1.1 415 Unsupported Media Type\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, nil, func(o *proxy.Options) { early(o); change(o) })
		send := func(n int) {
			var all sync.WaitGroup // net/http may wait a while for the rest of each body
			for range n {
				c := g.dial(t)
				fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nX: %s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", botA, bearerOf(secretA), strings.Repeat("x", 14<<10))
				all.Go(func() {
					_, _ = io.Copy(io.Discard, c)
					c.Close()
				})
			}
			all.Wait()
			eventually(t, "the end of all requests", func() bool { return g.admin.Status().OpenRequests == 0 })
		}
		live := func() int64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		send(20)
		before := live()
		const n = 200
		send(n)
		eventually(t, "less than 8 KiB being left of a request", func() bool { return (live()-before)/n < 8<<10 })
	})
}

// TestUpstreamWithoutPort has a runner on the scheme's own port.
func TestUpstreamWithoutPort(t *testing.T) {
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, nil, func(o *proxy.Options) {
			change(o)
			o.Upstream = &url.URL{Scheme: "http", Host: "127.0.0.1"}
		})
		_ = g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
		if strings.Contains(g.log.String(), "missing port") {
			t.Errorf("the runner is not looked for at port 80: %s", g.log)
		}
	})
}

// TestStrangersDoNotFillTheMemoryOfBodies has callers without a key, for a route on which some chatflow may be
// public, who send heads and no byte of a body: key holders must not be refused for that.
func TestStrangersDoNotFillTheMemoryOfBodies(t *testing.T) {
	g := newGate(t, nil, withKeys(t, keyFile+publicEntry))
	const strangers = 4100
	for range strangers {
		c, err := net.Dial("tcp", g.address)
		if err != nil {
			t.Skipf("no more connections: %v", err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /api/v1/leads HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 10\r\n\r\n", jsonType)
	}
	eventually(t, "all strangers being inside", func() bool { return g.admin.Status().OpenRequests >= 4096-64 })
	for range 20 {
		if a := g.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botA+`"}`, bearerOf(secretA), jsonType); a.status != 200 {
			t.Fatalf("a key holder gets %d %s while %d strangers send nothing", a.status, a.problem.Code, strangers)
		}
	}
}
