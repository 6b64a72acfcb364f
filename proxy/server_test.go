package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestHeadTooLarge sends heads around the limit, in one header and in many.
func TestHeadTooLarge(t *testing.T) {
	s := serveGate(t, nil, time.Second)
	if a := s.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType, "X: "+strings.Repeat("x", 15<<10)); a.status != 200 {
		t.Errorf("head of 15 KiB = %d, want 200", a.status)
	}
	_, _, before := s.runner.last()
	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf("X-%d: y", i))
	}
	for name, headers := range map[string][]string{
		"one header":    {"X: " + strings.Repeat("x", 32<<10)},
		"many headers":  many,
		"long name":     {strings.Repeat("x", 32<<10) + ": y"},
		"folded header": {"X: y" + strings.Repeat("\r\n y", 10<<10)},
	} {
		a := s.request(t, "POST", "/api/v1/prediction/"+botA, "{}", append(headers, bearerOf(secretA), jsonType)...)
		if a.status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s = %d, want 431", name, a.status)
		}
	}
	a := s.request(t, "POST", "/"+strings.Repeat("a", 32<<10), "")
	if a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("long target = %d, want 431", a.status)
	}
	if _, _, n := s.runner.last(); n != before {
		t.Errorf("%d requests too many reached the runner", n-before)
	}
}

// TestServersOwnAnswers sends what net/http would answer by itself, to the listener of callers and to
// that of the operator.
func TestServersOwnAnswers(t *testing.T) {
	s := serveGate(t, nil, time.Second)
	a := s.request(t, "OPTIONS", "*", "")
	checkProblem(t, a, 400, problem.NotCanonical)
	s.address = strings.TrimPrefix(s.adminURL, "http://")
	if a := s.request(t, "OPTIONS", "*", ""); a.status == 200 {
		t.Errorf("OPTIONS * at the admin listener = %d, want a refusal", a.status)
	}
}

// TestDrainClosesConnections sees that no connection outlives the beginning of a drain: an idle one is
// closed, and an answer that comes during it says that it is the last.
func TestDrainClosesConnections(t *testing.T) {
	reached, answer := make(chan struct{}), make(chan struct{})
	s := serveGate(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/ping" {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-answer
		_, _ = io.WriteString(w, "{}")
	}, time.Minute)
	idle := s.dial(t)
	fmt.Fprint(idle, "GET /api/v1/ping HTTP/1.1\r\nHost: gate\r\n\r\n")
	idleIn := bufio.NewReader(idle)
	if res, err := http.ReadResponse(idleIn, nil); err != nil || res.StatusCode != 200 || res.Close {
		t.Fatalf("ping = %v, %v, want 200 on a connection that stays", res, err)
	}
	busy := s.dial(t)
	fmt.Fprintf(busy, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 2\r\n\r\n{}", botA, bearerOf(secretA))
	<-reached
	s.stop()
	if _, err := idleIn.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection gives %v, want its end", err)
	}
	close(answer)
	res, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || res.StatusCode != 200 || !res.Close {
		t.Errorf("answer during the drain = %v, %v, want 200 and the end of the connection", res, err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
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
	testkit.Eventually(t, "not being ready", func() bool { return status(t, s.adminURL+"/readyz") == 503 })
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
