//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

const (
	idleEach = 64 << 10  // bytes of resident memory for each idle connection
	slowEach = 256 << 10 // and for each slow client
)

// conns are open connections to a gate.
type conns []net.Conn

// dial opens a connection and sends text over it.
func (c *conns) dial(t *testing.T, g measuredGate, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatalf("connection %d: %v", len(*c), err)
	}
	*c = append(*c, conn)
	_, _ = io.WriteString(conn, text)
	return conn
}

func (c *conns) close() {
	for _, conn := range *c {
		conn.Close()
	}
	*c = nil
}

// TestFloodOfIdleConnections keeps connections open that send nothing, or half a header, or nothing after the first
// response.
func TestFloodOfIdleConnections(t *testing.T) {
	t.Parallel()
	n := 300
	if testkit.Long() {
		n = 10_000
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if keep := 2000; int(min(limit.Cur, 1<<20)) < n+keep {
		t.Fatalf("limit of open files = %d, want at least %d", limit.Cur, n+keep)
	}
	g := startMeasuredGate(t, newEcho(), []string{"-race=false"}, nil)
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
		t.Fatalf("predict = %d, want 200", res.status)
	}
	before, memory := g.held(t), g.resident(t)

	var idle conns
	defer idle.close()
	texts := []string{"", "POST /api/v1/prediction/", "GET /api/v1/none HTTP/1.1\r\nHost: gate\r\n\r\n"}
	for i := range n {
		idle.dial(t, g, texts[i%len(texts)])
	}
	// Half a header times out after 10 s, an idle connection after 2 min: two thirds are open in any case.
	testkit.Eventually(t, "acceptance of all connections", func() bool { return g.heldNow(t).descriptors >= before.descriptors+n/2 })
	grown := g.resident(t) - memory
	if grown > n*idleEach {
		t.Errorf("resident memory grew by %d bytes for each of %d connections, want at most %d", grown/n, n, idleEach)
	}
	t.Logf("%d connections, %d bytes of resident memory each", n, grown/n)
	for range 10 {
		if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
			t.Errorf("predict during the flood = %d %s, want 200", res.status, res.body)
		}
	}
	idle.close()
	g.wantReleased(t, before)
	g.WantExit(t, syscall.SIGTERM)
}

// TestFloodOfSlowClients has clients that send a body byte by byte, and clients that ask for a stream and do not read
// it. Neither may hold up other clients.
func TestFloodOfSlowClients(t *testing.T) {
	t.Parallel()
	writers, readers := 50, 5
	if testkit.Long() {
		writers, readers = 200, 50
	}
	events := strings.Repeat("data:"+strings.Repeat("x", 1000)+"\n\n", 16)
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, _ := io.ReadAll(r.Body)
		if string(question) != "stream" {
			_, _ = w.Write(question)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, events); err != nil {
				return
			}
		}
	})
	g := startMeasuredGate(t, upstream, []string{"-race=false"}, nil)
	wantPrediction := func() {
		t.Helper()
		if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK || res.body != `{"question":"Hello?"}` {
			t.Errorf("predict = %d %q, want 200 and the upstream's response", res.status, res.body)
		}
	}
	wantPrediction()
	before, memory := g.held(t), g.resident(t)

	var slow conns
	defer slow.close()
	request := func(length int, body string) string {
		return fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", webChatflow, g.web, length, body)
	}
	for range writers {
		slow.dial(t, g, request(1000, "slow"))
	}
	for range readers {
		slow.dial(t, g, request(len("stream"), "stream"))
	}
	testkit.Eventually(t, "all streams", func() bool { return g.metric(t, "flowlatch_streams_active") == readers })
	for range 20 {
		for _, conn := range slow[:writers] {
			_, _ = io.WriteString(conn, "x")
		}
		wantPrediction()
	}
	n, grown := len(slow), g.resident(t)-memory
	if grown > n*slowEach {
		t.Errorf("resident memory grew by %d bytes for each of %d slow clients, want at most %d", grown/n, n, slowEach)
	}
	t.Logf("%d slow clients, %d bytes of resident memory each", n, grown/n)
	slow.close()
	g.wantReleased(t, before)
	wantPrediction()
	g.WantExit(t, syscall.SIGTERM)
}
