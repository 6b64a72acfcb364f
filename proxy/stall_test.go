package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// dial opens a connection to the gate on which nothing may take longer than 20 s.
func (g *gate) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// TestRunnerThatDoesNotRead gives up on a runner that takes a connection and reads none of the body.
func TestRunnerThatDoesNotRead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan net.Conn, 10) // or the garbage collector would close them
	t.Cleanup(func() {
		l.Close()
		for len(held) > 0 {
			(<-held).Close()
		}
	})
	go func() {
		for {
			conn, err := l.Accept() // never read
			if err != nil {
				return
			}
			held <- conn
		}
	}()
	g := newGate(t, nil, func(o *proxy.Options) {
		o.Upstream = mustURL(t, "http://"+l.Addr().String())
		o.UpstreamTimeout = 200 * time.Millisecond
	})
	conn := g.dial(t)
	go func() {
		const size = 40 << 20
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", botA, bearerOf(secretA), size)
		_, _ = io.CopyN(conn, zeros{}, size)
	}()
	checkProblem(t, readAnswer(t, conn), 504, problem.UpstreamTimeout)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// bothTransports runs a test with each of the transports to the runner.
func bothTransports(t *testing.T, run func(t *testing.T, change func(*proxy.Options))) {
	t.Helper()
	for name, standard := range map[string]bool{"direct": false, "standard": true} {
		t.Run(name, func(t *testing.T) { run(t, func(o *proxy.Options) { o.StandardTransport = standard }) })
	}
}

// begun is as much of a body as must have come before the runner hears of the request.
const begun = 16 << 10

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
	eventually(t, "the end of the request", func() bool { return g.admin.Status().OpenRequests == 0 })
}

// TestRevokedWhileTheBodyArrives disables a key between the head and the body of a request whose
// chatflow stands in its body.
func TestRevokedWhileTheBodyArrives(t *testing.T) {
	g := newGate(t, nil, nil)
	conn := g.dial(t)
	body := `{"chatflowid":"` + botA + `"}`
	fmt.Fprintf(conn, "POST /api/v1/leads HTTP/1.1\r\nHost: x\r\n%s\r\n%s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", bearerOf(secretA), jsonType, len(body))
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); !strings.Contains(line, "100") { // the key was found good
		t.Fatalf("answer to the head = %q, %v, want 100 Continue", line, err)
	}
	_, _ = r.ReadString('\n')
	if err := os.WriteFile(g.keys, []byte(strings.Replace(keyFile, "{id: key-a,", "{id: key-a, disabled: true,", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, answer := g.adminGet(t, "POST", "/-/reload"); code != 200 {
		t.Fatalf("reload = %d %s", code, answer)
	}
	fmt.Fprint(conn, body)
	checkProblem(t, readAnswer(t, r), 401, problem.InvalidKey)
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want 0", n)
	}
}
