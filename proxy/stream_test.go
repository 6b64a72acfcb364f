package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// stream asks for a streamed prediction. The body is closed with the test.
func stream(t *testing.T, base string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/api/v1/prediction/"+botA, strings.NewReader(`{"streaming":true}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secretA)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// events answers with an event for each value received, and ends when the channel is closed.
func events(next <-chan string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case e, more := <-next:
				if !more {
					return
				}
				if e == "break" {
					panic(http.ErrAbortHandler)
				}
				fmt.Fprintf(w, "data:%s\n\n", e)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
}

// TestStreamIsNotHeldUp reads the head of a stream before there is an event, and each event before
// the runner is allowed the next.
func TestStreamIsNotHeldUp(t *testing.T) {
	next := make(chan string)
	g := newGate(t, events(next), nil)
	res := stream(t, g.URL)
	r := bufio.NewReader(res.Body)
	for _, e := range []string{"one", "two", "three"} {
		next <- e
		if got, err := r.ReadString('\n'); got != "data:"+e+"\n" {
			t.Fatalf("read %q, %v, want event %q", got, err, e)
		}
		_, _ = r.ReadString('\n')
	}
	close(next)
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("the stream ended with %q, %v, want a clean end", rest, err)
	}
	eventually(t, "the log line", func() bool { return strings.Contains(g.log.String(), `"stream":true`) })
}

// TestBrokenStreamIsCut sees that a runner that breaks off is not made to look as if it had finished.
func TestBrokenStreamIsCut(t *testing.T) {
	next := make(chan string, 2)
	g := newGate(t, events(next), nil)
	res := stream(t, g.URL)
	next <- "one"
	next <- "break"
	if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(string(body), "one") {
		t.Errorf("read %q, %v, want the first event and an unexpected end", body, err)
	}
	eventually(t, "the log line", func() bool { return strings.Contains(g.log.String(), `"code":"upstream_broken"`) })
}

// TestResetStreamIsCut is the same for an answer that ends with its connection, which the runner resets: nothing but
// that tells a caller that there should have been more.
func TestResetStreamIsCut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reset := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata:one\n\n")
		<-reset
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}()
	g := newGate(t, nil, func(o *proxy.Options) { o.Upstream = mustURL(t, "http://"+l.Addr().String()) })
	res := stream(t, g.URL)
	event := make([]byte, len("data:one\n\n"))
	_, err = io.ReadFull(res.Body, event)
	close(reset)
	if err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read %q, %v after the event, want an unexpected end", rest, err)
	}
	eventually(t, "the log line", func() bool { return strings.Contains(g.log.String(), `"code":"upstream_broken"`) })
}

// served is a gate that runs as the command runs it.
type served struct {
	*gate
	base, adminURL string
	stop           context.CancelFunc
	ended          chan error
}

func serveGate(t *testing.T, handler http.HandlerFunc, drain time.Duration) *served {
	t.Helper()
	return serveGateWith(t, handler, drain, nil)
}

func serveGateWith(t *testing.T, handler http.HandlerFunc, drain time.Duration, change func(*proxy.Options)) *served {
	t.Helper()
	s := &served{gate: newGate(t, handler, change), ended: make(chan error, 1)}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	data, admin := listen(), listen()
	s.address = data.Addr().String()
	s.base, s.adminURL = "http://"+s.address, "http://"+admin.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.ended <- s.proxy.Serve(ctx, data, admin, s.gate.admin, drain) }()
	t.Cleanup(stop)
	return s
}

func status(t *testing.T, url string) int {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func TestDrainWaitsForStreams(t *testing.T) {
	next := make(chan string)
	s := serveGate(t, events(next), time.Minute)
	if got := status(t, s.adminURL+"/readyz"); got != 200 {
		t.Fatalf("readyz = %d, want 200", got)
	}
	res := stream(t, s.base)
	r := bufio.NewReader(res.Body)
	next <- "one"
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	s.stop()
	eventually(t, "not being ready", func() bool { return status(t, s.adminURL+"/readyz") == 503 })
	if got := status(t, s.adminURL+"/livez"); got != 200 {
		t.Errorf("livez while draining = %d, want 200", got)
	}
	a := ping(t, s.base)
	checkProblem(t, a, 503, problem.Draining)
	next <- "two"
	close(next)
	if rest, err := io.ReadAll(r); err != nil || !strings.Contains(string(rest), "two") {
		t.Errorf("the open stream went on with %q, %v, want the second event and a clean end", rest, err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

func ping(t *testing.T, base string) *answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n")
	return readAnswer(t, conn)
}

func TestDrainEnds(t *testing.T) {
	next := make(chan string, 1)
	s := serveGate(t, events(next), 20*time.Millisecond)
	res := stream(t, s.base)
	next <- "one"
	s.stop()
	if body, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the stream that was cut ended cleanly after %q", body)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if !strings.Contains(s.log.String(), `"code":"drain_timeout"`) {
		t.Error("the log does not say that the stream was cut")
	}
}
