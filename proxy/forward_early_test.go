package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
)

// TestEarlyResponseLeavesNothingBehind has an upstream that responds before it has the body, and a client that never
// sends the rest of it. The next request must not be taken for that rest.
func TestEarlyResponseLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var read []string
	var open sync.WaitGroup
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				first := make([]byte, 64<<10)
				n, _ := conn.Read(first)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
				rest, _ := io.ReadAll(conn)
				mu.Lock()
				read = append(read, string(first[:n])+string(rest))
				mu.Unlock()
			})
		}
	}()
	t.Cleanup(func() { l.Close() })
	g := newGate(t, nil, func(o *proxy.Options) { o.Upstream = mustURL(t, "http://"+l.Addr().String()) })
	const clients = 5
	for range clients {
		conn := g.dial(t)
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 100000\r\n\r\n%s", botA, bearerOf(secretA), strings.Repeat("x", begun))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("early response = %v, %v, want 200", res, err)
		}
		if body, err := io.ReadAll(res.Body); string(body) != "early" || err != nil {
			t.Errorf("body of the early response = %q, %v, want early", body, err)
		}
		conn.Close()
	}
	testkit.Eventually(t, "end of all connections to the upstream", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(read) == clients
	})
	l.Close()
	open.Wait()
	for _, bytes := range read {
		if header, body, _ := strings.Cut(bytes, "\r\n\r\n"); strings.Count(header, "POST ") != 1 || strings.Trim(body, "x") != "" {
			t.Errorf("a connection to the upstream carried %.300q and a body of %d bytes, want one request and no more", header, len(body))
		}
	}
}

// earlyUpstream responds as soon as it has the header of a request, and ignores the body.
func earlyUpstream(t *testing.T, response string) func(*proxy.Options) {
	t.Helper()
	upstream := closingUpstream(t, func(c net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = io.WriteString(c, response)
		_, _ = io.Copy(io.Discard, c)
	})
	return func(o *proxy.Options) { o.Upstream = upstream }
}

// TestMaxBodyExceededWhileTheResponseBegins has clients exceed --max-body at the moment when the response header arrives.
// It is meant for the race detector. Without it, the process may end with "concurrent map writes", from which no handler
// can recover.
func TestMaxBodyExceededWhileTheResponseBegins(t *testing.T) {
	t.Parallel()
	header := "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n"
	for i := range 1000 {
		header += fmt.Sprintf("X-%d: y\r\n", i)
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
		for range atFullSize(100, 30) {
			client := g.dial(t)
			fmt.Fprintf(client, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", botA, bearerOf(secretA))
			upstream, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			begun := bufio.NewReader(upstream)
			for line := ""; !strings.Contains(line, "hello") && err == nil; {
				line, err = begun.ReadString('\n')
			}
			var both sync.WaitGroup
			both.Go(func() { _, _ = io.WriteString(upstream, header+"\r\n") })
			both.Go(func() { fmt.Fprintf(client, "800\r\n%s\r\n0\r\n\r\n", strings.Repeat("x", 2<<10)) })
			both.Wait()
			_, _ = io.Copy(io.Discard, client)
			client.Close()
			upstream.Close()
		}
	})
}

// TestEarlyResponsesKeepNothing measures what requests leave in memory if they got their response while their bodies were
// still on the way. The last read must not restart the timer of --upstream-timeout.
func TestEarlyResponsesKeepNothing(t *testing.T) { // not parallel, because others would allocate, too
	early := earlyUpstream(t, "HTTP/1.1 415 Unsupported Media Type\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	gates := []*gate{newGate(t, nil, early), newGate(t, nil, func(o *proxy.Options) { early(o); o.StandardTransport = true })}
	send := func(n int) {
		var all sync.WaitGroup // net/http may wait a while for the rest of each body
		for _, g := range gates {
			for range n {
				c := g.dial(t)
				fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nX: %s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", botA, bearerOf(secretA), strings.Repeat("x", 14<<10))
				all.Go(func() {
					_, _ = io.Copy(io.Discard, c)
					c.Close()
				})
			}
		}
		all.Wait()
		testkit.Eventually(t, "end of all requests", func() bool { return gates[0].open()+gates[1].open() == 0 })
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
	const n = 100
	send(n)
	testkit.Eventually(t, "release of all but 8 KiB of each request", func() bool { return (live()-before)/(2*n) < 8<<10 })
}

// TestEarlyResponse has an upstream that responds before it reads. The client gets the response header while it is still
// sending, and the upstream gets every byte.
func TestEarlyResponse(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		got := make(chan int64, 1)
		g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			n, _ := io.Copy(io.Discard, r.Body)
			got <- n
			fmt.Fprint(w, "data:read\n\n")
		}, change)
		for _, size := range []int64{100_000, 300_000} { // net/http would read up to 256 KiB before it responds
			conn := g.dial(t)
			fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", botA, bearerOf(secretA), size)
			_, _ = io.CopyN(conn, zeros{}, begun)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil) // before the rest of the body is sent
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("early response = %v, %v, want 200", res, err)
			}
			defer res.Body.Close()
			if _, err := io.CopyN(conn, zeros{}, size-begun); err != nil {
				t.Fatal(err)
			}
			if n := <-got; n != size {
				t.Errorf("the upstream got %d bytes, want %d", n, size)
			}
			if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), "read") {
				t.Errorf("rest of the response = %q, %v, want the event", body, err)
			}
		}
	})
}

// TestBodyThatNeverComes has a client that announces a body and sends only a part of it, and an upstream that responds
// without the rest. The response arrives, and neither the connection nor the request stays open.
func TestBodyThatNeverComes(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex() // else net/http would wait for the body here, too
			w.WriteHeader(http.StatusTeapot)
		}, change)
		conn := g.dial(t)
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", botA, bearerOf(secretA), 2*begun)
		_, _ = io.CopyN(conn, zeros{}, begun)
		r := bufio.NewReader(conn)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusTeapot {
			t.Fatalf("response = %v, %v, want the upstream's", res, err)
		}
		res.Body.Close()
		if !res.Close {
			t.Error("response without Connection: close, after which the rest of the body could be taken for a request")
		}
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("read after the response = %v, want io.EOF", err)
		}
		testkit.Eventually(t, "end of the request", func() bool { return g.open() == 0 })
	})
}
