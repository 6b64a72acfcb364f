//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// The sizes of the floods, and the bounds of what they may cost.
const (
	floodStrangers   = 100_000  // requests, each for a chatflow and with a key of its own
	floodConnections = 4        // that they come over
	floodBatch       = 200      // requests sent before the first answer is read
	floodGrowth      = 16 << 20 // bytes of resident memory; remembering each would cost more
	floodLogEach     = 512      // bytes of log for each refused request

	floodIdle        = 10_000   // connections held open
	floodIdleEach    = 64 << 10 // bytes of resident memory for each of them
	floodDescriptors = 2_000    // that are kept for everything else

	floodBodies   = 200       // slow bodies
	floodReaders  = 50        // slow readers of streams
	floodSlowEach = 256 << 10 // bytes of resident memory for each of them
)

// startPlainGate starts a gate whose memory can be measured: built without the race detector.
func startPlainGate(t *testing.T, runner http.Handler, args ...string) *gate {
	t.Helper()
	if testing.Short() {
		t.Skip("a flood takes its time")
	}
	return startGateWith(t, runner, testkit.Options{Program: testkit.Build(t, "-race=false"), Args: args})
}

// resident returns the resident memory of the process in bytes.
func (g *gate) resident(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("the process has no VmRSS")
	return 0
}

// series counts the metric series that callers could have an influence on.
func (g *gate) series(t *testing.T) (n int) {
	t.Helper()
	for line := range strings.Lines(send(t, http.MethodGet, g.Admin+"/metrics", "", "").body) {
		if strings.HasPrefix(line, "flowlatch_") {
			n++
		}
	}
	return n
}

// flood sends n requests over one connection, several at a time, and counts the answers by status.
func (g *gate) flood(n int, request func(i int) string) (map[int]int, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	in, answers := bufio.NewReader(conn), map[int]int{}
	for i := 0; i < n; {
		var batch strings.Builder
		first := i
		for ; i < n && i < first+floodBatch; i++ {
			batch.WriteString(request(i))
		}
		if _, err := io.WriteString(conn, batch.String()); err != nil {
			return answers, err
		}
		for range i - first {
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				return answers, err
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				return answers, err
			}
			answers[res.StatusCode]++
		}
	}
	return answers, nil
}

// strangers floods the gate with requests from first on, each with a chatflow, a key and, behind a
// trusted proxy, a caller of its own. One in four has a valid key, of another chatflow.
func (g *gate) strangers(t *testing.T, first, n int) (answers map[int]int) {
	t.Helper()
	answers = map[int]int{}
	var mu sync.Mutex
	var callers sync.WaitGroup
	for c := range floodConnections {
		callers.Go(func() {
			got, err := g.flood(n/floodConnections, func(i int) string {
				i += first + c*n/floodConnections
				key := fmt.Sprintf("a-key-that-nobody-has-%08d", i)
				if i%4 == 0 {
					key = g.batch
				}
				return fmt.Sprintf("POST /api/v1/prediction/%08x-0000-4000-8000-000000000000 HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nX-Forwarded-For: 100.%d.%d.%d\r\n\r\n",
					i, key, i>>16&255, i>>8&255, i&255)
			})
			if err != nil {
				t.Errorf("flood: %v, after %v", err, got)
			}
			mu.Lock()
			defer mu.Unlock()
			for status, n := range got {
				answers[status] += n
			}
		})
	}
	callers.Wait()
	return answers
}

// TestFloodOfStrangers sends many requests, no two of which have anything in common that could be
// remembered: what is remembered of them must not grow with their number.
func TestFloodOfStrangers(t *testing.T) {
	g := startPlainGate(t, newEcho(), "--trusted-proxies", "127.0.0.0/8")
	g.strangers(t, 0, 4000) // what is made once is there before it is counted
	before, series, log := g.resident(t), g.series(t), len(g.Stderr.String())

	answers := g.strangers(t, 4000, floodStrangers)

	total := 0
	for status, n := range answers {
		if total += n; status != 401 && status != 403 && status != 429 {
			t.Errorf("%d answers were %d, want 401, 403 or 429", n, status)
		}
	}
	if total != floodStrangers || answers[403] != floodStrangers/4 {
		t.Errorf("answers = %v, want %d, and a quarter of them 403, for their key is valid", answers, floodStrangers)
	}
	if got := g.series(t); got > series+1 { // the first 429 may make one
		t.Errorf("metric series = %d, before the flood %d", got, series)
	}
	if grown := g.resident(t) - before; grown > floodGrowth {
		t.Errorf("resident memory grew by %d KiB, want %d at most", grown>>10, floodGrowth>>10)
	} else {
		t.Logf("resident memory grew by %d KiB, to %d KiB", grown>>10, g.resident(t)>>10)
	}
	logged := len(g.Stderr.String()) - log
	if logged > floodStrangers*floodLogEach {
		t.Errorf("log of the flood = %d bytes, want %d a request at most", logged, floodLogEach)
	}
	t.Logf("%d bytes of log a request, answers %v", logged/floodStrangers, answers)
	if a := g.predict(t, webChatflow, g.web); a.status != http.StatusOK {
		t.Errorf("an honest caller after the flood gets %d %s, want 200", a.status, a.body)
	}
	g.WantExit(t, syscall.SIGTERM)
}

// TestFloodOfIdleConnections holds connections open and sends nothing, or half of a head, or nothing
// after an answer.
func TestFloodOfIdleConnections(t *testing.T) {
	g := startPlainGate(t, newEcho())
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := min(floodIdle, int(min(limit.Cur, 1<<20))-floodDescriptors)
	if n < 1000 {
		t.Skipf("with %d descriptors there is no flood", limit.Cur)
	}
	if a := g.predict(t, webChatflow, g.web); a.status != http.StatusOK {
		t.Fatalf("predict = %d, want 200", a.status)
	}
	testkit.Eventually(t, "end of idle connections", func() bool { return g.metric(t, "go_goroutines") < 30 })
	memory, before := g.resident(t), g.held(t)

	conns := make([]net.Conn, 0, n)
	closeAll := func() {
		for _, c := range conns {
			c.Close()
		}
	}
	defer closeAll()
	for i := range n {
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, conn)
		switch i % 3 {
		case 1:
			fmt.Fprint(conn, "POST /api/v1/prediction/")
		case 2:
			fmt.Fprint(conn, "GET /api/v1/none HTTP/1.1\r\nHost: gate\r\n\r\n")
		}
	}
	// Two thirds are still there while the others time out: half heads after 10 s, idle ones after 2 min.
	testkit.Eventually(t, "acceptance of all connections", func() bool { return g.held(t).descriptors >= before.descriptors+n/2 })
	grown := g.resident(t) - memory
	if grown > n*floodIdleEach {
		t.Errorf("resident memory grew by %d bytes for each of %d connections, want %d at most", grown/n, n, floodIdleEach)
	}
	t.Logf("%d connections, %d bytes of resident memory each", n, grown/n)
	for range 10 {
		if a := g.predict(t, webChatflow, g.web); a.status != http.StatusOK {
			t.Errorf("an honest caller during the flood gets %d %s, want 200", a.status, a.body)
		}
	}
	closeAll()
	testkit.Eventually(t, fmt.Sprintf("return to %+v", before), func() bool {
		h := g.held(t)
		return h.goroutines <= before.goroutines+2 && h.descriptors <= before.descriptors+2
	})
	g.WantExit(t, syscall.SIGTERM)
}

// TestFloodOfSlowCallers has callers who send a body byte by byte, and callers who ask for a stream and
// do not read it. Neither may hold up anybody else.
func TestFloodOfSlowCallers(t *testing.T) {
	piece := strings.Repeat("data:"+strings.Repeat("x", 1000)+"\n\n", 16)
	g := startPlainGate(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, _ := io.ReadAll(r.Body)
		if string(question) != "stream" {
			_, _ = w.Write(question)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, piece); err != nil {
				return
			}
		}
	}))
	ask := func() {
		t.Helper()
		if a := g.predict(t, webChatflow, g.web); a.status != http.StatusOK || a.body != `{"question":"Hello?"}` {
			t.Errorf("an honest caller gets %d %q, want 200 and the runner's answer", a.status, a.body)
		}
	}
	ask()
	testkit.Eventually(t, "end of idle connections", func() bool { return g.metric(t, "go_goroutines") < 30 })
	memory, before := g.resident(t), g.held(t)

	var conns []net.Conn
	closeAll := func() {
		for _, c := range conns {
			c.Close()
		}
	}
	defer closeAll()
	connect := func(body string, length int) {
		t.Helper()
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", webChatflow, g.web, length, body)
	}
	for range floodBodies {
		connect("slow", 1000)
	}
	for range floodReaders {
		connect("stream", len("stream"))
	}
	testkit.Eventually(t, "all streams", func() bool { return g.metric(t, "flowlatch_streams_active") == floodReaders })
	for range 20 {
		for _, conn := range conns[:floodBodies] {
			fmt.Fprint(conn, "x")
		}
		ask()
	}
	grown := g.resident(t) - memory
	if grown > len(conns)*floodSlowEach {
		t.Errorf("resident memory grew by %d bytes for each of %d slow callers, want %d at most", grown/len(conns), len(conns), floodSlowEach)
	}
	t.Logf("%d slow callers, %d bytes of resident memory each", len(conns), grown/len(conns))
	closeAll()
	testkit.Eventually(t, fmt.Sprintf("return to %+v", before), func() bool {
		h := g.held(t)
		return h.goroutines <= before.goroutines+2 && h.descriptors <= before.descriptors+2
	})
	ask()
	g.WantExit(t, syscall.SIGTERM)
}
