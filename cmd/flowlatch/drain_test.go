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

// stream is a runner that streams what it is told to, event by event, until events is closed. It
// serves one request.
type stream struct {
	events chan string
	left   chan struct{} // closed when the request is over
}

func newStream() *stream { return &stream{events: make(chan string), left: make(chan struct{})} }

func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or net/http would not notice a caller that leaves
	defer close(s.left)
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

// send has the runner stream an event and waits for it at the caller's end.
func (s *stream) send(t *testing.T, from *bufio.Reader, event string) {
	t.Helper()
	deadline := time.NewTimer(testkit.Timeout)
	defer deadline.Stop()
	select {
	case s.events <- event:
	case <-s.left:
		t.Fatalf("the runner's request is over before event %q", event)
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
	// The first event must be under way for the head of the answer to come.
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
	runner := newStream()
	g := startGate(t, runner)
	events := openStream(t, g, runner)

	g.Signal(t, syscall.SIGTERM)
	testkit.Eventually(t, "503 at /readyz", func() bool {
		return send(t, http.MethodGet, g.Admin+"/readyz", "", "").status == http.StatusServiceUnavailable
	})
	if a := send(t, http.MethodGet, g.Admin+"/livez", "", ""); a.status != http.StatusOK {
		t.Errorf("GET /livez while draining = %d, want 200", a.status)
	}
	code, stdout, stderr := finish(t, "healthcheck", "--admin", strings.TrimPrefix(g.Admin, "http://"))
	if code != exitFailed || stdout != "" || stderr != "flowlatch: not ready: draining\n" {
		t.Errorf("healthcheck while draining = %d, %q, %q, want 1, nothing and %q", code, stdout, stderr, "not ready: draining")
	}
	for _, key := range []string{g.web, ""} {
		a := g.predict(t, webChatflow, key)
		if a.status != http.StatusServiceUnavailable || a.code() != "draining" || a.header.Get("Retry-After") == "" {
			t.Errorf("predict while draining = %d %q, Retry-After %q, want 503 draining and when to come again", a.status, a.code(), a.header.Get("Retry-After"))
		}
	}

	runner.send(t, events, "second")
	if g.Ended() {
		t.Fatal("the process ended before its stream")
	}
	close(runner.events)
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
	runner := newStream()
	g := startGate(t, runner, "--drain", limit.String())
	events := openStream(t, g, runner)

	began := time.Now()
	g.Signal(t, syscall.SIGTERM)
	rest, err := io.ReadAll(events)
	if took := time.Since(began); took < limit {
		t.Errorf("the stream was cut after %s, want %s at least", took, limit)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
		t.Errorf("end of a stream that was cut = %q, %v, want an error: an end would look like the answer's own", rest, err)
	}
	if code := g.Wait(t); code != exitOK {
		t.Errorf("exit code = %d, want 0", code)
	}
	testkit.Eventually(t, "end of the runner's request", func() bool {
		select {
		case <-runner.left:
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

// TestHangupWhileDraining checks that a reload that is asked for late does not end what is open.
func TestHangupWhileDraining(t *testing.T) {
	t.Parallel()
	runner := newStream()
	g := startGate(t, runner)
	events := openStream(t, g, runner)
	g.Signal(t, syscall.SIGTERM)
	g.AwaitLog(t, "draining: new requests get 503, open ones may finish")
	g.Signal(t, syscall.SIGHUP)
	g.AwaitLog(t, "the key file is as it was")
	runner.send(t, events, "second")
	close(runner.events)
	if code := g.Wait(t); code != exitOK {
		t.Errorf("exit code = %d, want 0", code)
	}
}

func TestSignalEnds(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			g := startGate(t, newEcho())
			if a := g.predict(t, webChatflow, g.web); a.status != http.StatusOK {
				t.Errorf("predict = %d, want 200", a.status)
			}
			g.WantExit(t, s)
			if _, err := http.Get(g.URL + "/"); err == nil { //nolint:noctx // nobody answers
				t.Errorf("after %s: somebody answers at %s, want nobody", s, g.URL)
			}
		})
	}
}
