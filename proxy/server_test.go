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

// TestHeaderTooLarge sends headers around the size limit, in one field and in many.
func TestHeaderTooLarge(t *testing.T) {
	t.Parallel()
	s := serveGate(t, nil, time.Second)
	if res := s.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType, "X: "+strings.Repeat("x", 15<<10)); res.status != 200 {
		t.Errorf("request with a header of 15 KiB = %d, want 200", res.status)
	}
	_, _, before := s.upstream.last()
	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf("X-%d: y", i))
	}
	for name, headers := range map[string][]string{
		"one field":    {"X: " + strings.Repeat("x", 32<<10)},
		"many fields":  many,
		"long name":    {strings.Repeat("x", 32<<10) + ": y"},
		"folded field": {"X: y" + strings.Repeat("\r\n y", 10<<10)},
	} {
		res := s.request(t, "POST", "/api/v1/prediction/"+botA, "{}", append(headers, bearerOf(secretA), jsonType)...)
		if res.status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s = %d, want 431", name, res.status)
		}
	}
	res := s.request(t, "POST", "/"+strings.Repeat("a", 32<<10), "")
	if res.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("long target = %d, want 431", res.status)
	}
	if _, _, n := s.upstream.last(); n != before {
		t.Errorf("%d refused requests reached the upstream, want none", n-before)
	}
}

// TestOptionsOfTheServer sends OPTIONS *, to which net/http would respond by itself, to the listener for clients and to
// the one for operators.
func TestOptionsOfTheServer(t *testing.T) {
	t.Parallel()
	s := serveGate(t, nil, time.Second)
	res := s.request(t, "OPTIONS", "*", "")
	checkProblem(t, res, 400, problem.NotCanonical)
	s.address = strings.TrimPrefix(s.adminURL, "http://")
	if res := s.request(t, "OPTIONS", "*", ""); res.status == 200 {
		t.Errorf("OPTIONS * at the admin listener = %d, want a refusal", res.status)
	}
}

// TestDrainClosesConnections: when a drain begins, idle connections are closed. A response during the drain says that it
// is the last on its connection.
func TestDrainClosesConnections(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	s := serveGate(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/ping" {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-release
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
		t.Errorf("read of the idle connection = %v, want io.EOF", err)
	}
	close(release)
	res, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || res.StatusCode != 200 || !res.Close {
		t.Errorf("response during the drain = %v, %v, want 200 and Connection: close", res, err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

// TestDrainWaitsForStreams: a drain refuses new requests and lets a stream run to its end.
func TestDrainWaitsForStreams(t *testing.T) {
	t.Parallel()
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
	late := ping(t, s.base)
	checkProblem(t, late, 503, problem.Draining)
	next <- "two"
	close(next)
	if rest, err := io.ReadAll(r); err != nil || !strings.Contains(string(rest), "two") {
		t.Errorf("rest of the stream = %q, %v, want the second event and a clean end", rest, err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

func ping(t *testing.T, base string) *response {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n")
	return readResponse(t, conn)
}

// TestDrainEnds cuts a stream when the time to drain is over.
func TestDrainEnds(t *testing.T) {
	t.Parallel()
	next := make(chan string, 1)
	s := serveGate(t, events(next), 20*time.Millisecond)
	res := stream(t, s.base)
	next <- "one"
	s.stop()
	if body, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("read of a stream that was cut = %q, nil, want an error", body)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if !strings.Contains(s.log.String(), `"code":"drain_timeout"`) {
		t.Errorf("log = %s, want code drain_timeout", s.log)
	}
}
