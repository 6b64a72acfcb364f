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

// TestEarlyAnswerLeavesNothingBehind has a runner that answers before it has the body, to a caller who
// then leaves the body half sent. The next request must not be taken for the rest of it.
func TestEarlyAnswerLeavesNothingBehind(t *testing.T) {
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
	const callers = 5
	for range callers {
		conn := g.dial(t)
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 100000\r\n\r\n%s", botA, bearerOf(secretA), strings.Repeat("x", begun))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("early answer = %v, %v, want 200", res, err)
		}
		if body, err := io.ReadAll(res.Body); string(body) != "early" || err != nil {
			t.Errorf("early answer = %q, %v", body, err)
		}
		conn.Close()
	}
	testkit.Eventually(t, "end of all connections to the runner", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(read) == callers
	})
	l.Close()
	open.Wait()
	for _, bytes := range read {
		if head, body, _ := strings.Cut(bytes, "\r\n\r\n"); strings.Count(head, "POST ") != 1 || strings.Trim(body, "x") != "" {
			t.Errorf("a connection to the runner carried %.300q and %d bytes, want one request and no more", head, len(body))
		}
	}
}

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
			testkit.Eventually(t, "end of all requests", func() bool { return g.admin.Status().OpenRequests == 0 })
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
		testkit.Eventually(t, "less than 8 KiB being left of a request", func() bool { return (live()-before)/n < 8<<10 })
	})
}

// TestEarlyAnswer has a runner that answers before it reads: the caller gets the head of the answer
// while it still sends, and the runner gets every byte.
func TestEarlyAnswer(t *testing.T) { bothTransports(t, testEarlyAnswer) }

func testEarlyAnswer(t *testing.T, change func(*proxy.Options)) {
	got := make(chan int64, 1)
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		n, _ := io.Copy(io.Discard, r.Body)
		got <- n
		fmt.Fprint(w, "data:read\n\n")
	}, change)
	conn := g.dial(t)
	const size = 300_000
	fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", botA, bearerOf(secretA), size)
	_, _ = io.CopyN(conn, zeros{}, begun)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil) // before the rest of the body is sent
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("early answer = %v, %v, want 200", res, err)
	}
	defer res.Body.Close()
	if _, err := io.CopyN(conn, zeros{}, size-begun); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != size {
		t.Errorf("the runner got %d bytes, want %d", n, size)
	}
	if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), "read") {
		t.Errorf("the rest of the answer = %q, %v", body, err)
	}
}

// TestBodyThatNeverComes has a caller who announces a body and sends only some of it, to a runner that answers
// without the rest: the answer comes, and the connection and the request do not stay.
func TestBodyThatNeverComes(t *testing.T) { bothTransports(t, testBodyThatNeverComes) }

func testBodyThatNeverComes(t *testing.T, change func(*proxy.Options)) {
	g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // or net/http waits for the body here, too
		w.WriteHeader(http.StatusTeapot)
	}, change)
	conn := g.dial(t)
	fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", botA, bearerOf(secretA), 2*begun)
	_, _ = io.CopyN(conn, zeros{}, begun)
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusTeapot {
		t.Fatalf("answer = %v, %v, want the runner's", res, err)
	}
	res.Body.Close()
	if !res.Close {
		t.Error("the connection is not closed, and what comes on it could be taken for a request")
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the answer the connection gives %v, want its end", err)
	}
	testkit.Eventually(t, "end of the request", func() bool { return g.admin.Status().OpenRequests == 0 })
}
