package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// stream is an upstream that streams the events it is given until events is closed. It serves one request.
type stream struct {
	events chan string
	ended  chan struct{} // closed when the request is over
}

func newStream() *stream { return &stream{events: make(chan string), ended: make(chan struct{})} }

func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or net/http would not notice that the client disconnects
	defer close(s.ended)
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		select {
		case event, more := <-s.events:
			if !more {
				return
			}
			fmt.Fprintf(w, "data:%s\n\n", event)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// send streams an event and waits until the client has read it.
func (s *stream) send(t *testing.T, from *bufio.Reader, event string) {
	t.Helper()
	deadline := time.NewTimer(testkit.Timeout)
	defer deadline.Stop()
	select {
	case s.events <- event:
	case <-s.ended:
		t.Fatalf("the upstream request ended before event %q", event)
	case <-deadline.C:
		t.Fatalf("after %s: event %q is not taken", testkit.Timeout, event)
	}
	for _, want := range []string{"data:" + event + "\n", "\n"} {
		if got, err := from.ReadString('\n'); err != nil || got != want {
			t.Fatalf("read of the stream = %q, %v, want %q", got, err, want)
		}
	}
}

// openStream asks for a stream and returns it once its first event has come.
func openStream(t *testing.T, g *gate, s *stream) *bufio.Reader {
	t.Helper()
	// The response header comes with the first event.
	go func() {
		select {
		case s.events <- "first":
		case <-t.Context().Done():
		}
	}()
	res := open(t, http.MethodPost, g.URL+"/api/v1/prediction/"+webChatflow, g.web, `{"streaming":true}`)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("stream = %d, want 200", res.StatusCode)
	}
	events := bufio.NewReader(res.Body)
	for _, want := range []string{"data:first\n", "\n"} {
		if got, err := events.ReadString('\n'); err != nil || got != want {
			t.Fatalf("read of the stream = %q, %v, want %q", got, err, want)
		}
	}
	return events
}

func TestDrainLetsStreamsFinish(t *testing.T) {
	t.Parallel()
	upstream := newStream()
	g := startGate(t, upstream)
	events := openStream(t, g, upstream)

	g.Signal(t, syscall.SIGTERM)
	testkit.Eventually(t, "503 at /readyz", func() bool {
		return send(t, http.MethodGet, g.Admin+"/readyz", "", "").status == http.StatusServiceUnavailable
	})
	if res := send(t, http.MethodGet, g.Admin+"/livez", "", ""); res.status != http.StatusOK {
		t.Errorf("GET /livez while draining = %d, want 200", res.status)
	}
	code, stdout, stderr := finish(t, "healthcheck", "--admin", strings.TrimPrefix(g.Admin, "http://"))
	if code != exitFailed || stdout != "" || stderr != "flowlatch: not ready: draining\n" {
		t.Errorf("healthcheck while draining = %d, %q, %q, want 1, nothing and %q", code, stdout, stderr, "not ready: draining")
	}
	for _, key := range []string{g.web, ""} {
		res := g.predict(t, webChatflow, key)
		if res.status != http.StatusServiceUnavailable || res.code() != "draining" || res.header.Get("Retry-After") == "" {
			t.Errorf("predict while draining = %d %q, Retry-After %q, want 503 draining and when to come again", res.status, res.code(), res.header.Get("Retry-After"))
		}
	}

	upstream.send(t, events, "second")
	if g.Ended() {
		t.Fatal("the process ended before the stream")
	}
	close(upstream.events)
	if rest, err := io.ReadAll(events); err != nil || len(rest) > 0 {
		t.Errorf("end of the stream = %q, %v, want a clean one", rest, err)
	}
	if code := g.Wait(t); code != exitOK {
		t.Errorf("exit code = %d, want 0", code)
	}
	if n := len(g.Logged(t, "drained")); n != 1 {
		t.Errorf("log lines %q = %d, want 1", "drained", n)
	}
	for _, line := range g.Logged(t, "request") {
		if line["stream"] == true && (line["status"] != 200.0 || line["code"] != nil) {
			t.Errorf("log line of the stream = %v, want status 200 and no code", line)
		}
	}
}

func TestDrainCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	const limit = 200 * time.Millisecond
	upstream := newStream()
	g := startGate(t, upstream, "--drain", limit.String())
	events := openStream(t, g, upstream)

	began := time.Now()
	g.Signal(t, syscall.SIGTERM)
	rest, err := io.ReadAll(events)
	if took := time.Since(began); took < limit {
		t.Errorf("the stream was cut after %s, want %s at least", took, limit)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
		t.Errorf("end of a stream that was cut = %q, %v, want an error: a clean end would make the response look complete", rest, err)
	}
	if code := g.Wait(t); code != exitOK {
		t.Errorf("exit code = %d, want 0", code)
	}
	testkit.Eventually(t, "end of the upstream request", func() bool {
		select {
		case <-upstream.ended:
			return true
		default:
			return false
		}
	})
	lines := g.Logged(t, "request")
	if len(lines) != 1 || lines[0]["code"] != "drain_timeout" || lines[0]["stream"] != true {
		t.Errorf("log lines of requests = %v, want one of a stream, with code drain_timeout", lines)
	}
}

// TestHangupWhileDraining checks that a reload during the drain does not end open requests.
func TestHangupWhileDraining(t *testing.T) {
	t.Parallel()
	upstream := newStream()
	g := startGate(t, upstream)
	events := openStream(t, g, upstream)
	g.Signal(t, syscall.SIGTERM)
	g.AwaitLog(t, "draining: new requests get 503, open ones may finish")
	g.Signal(t, syscall.SIGHUP)
	g.AwaitLog(t, "key file unchanged")
	upstream.send(t, events, "second")
	close(upstream.events)
	if code := g.Wait(t); code != exitOK {
		t.Errorf("exit code = %d, want 0", code)
	}
}

func TestSignalEnds(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			g := startGate(t, newEcho())
			if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
				t.Errorf("predict = %d, want 200", res.status)
			}
			g.WantExit(t, s)
			if _, err := http.Get(g.URL + "/"); err == nil { //nolint:noctx // the connection is refused
				t.Errorf("after %s: GET %s succeeds, want connection refused", s, g.URL)
			}
		})
	}
}
