package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// pipedGate is a serving process whose stderr is a pipe. The test reads as much of it as it likes.
type pipedGate struct {
	cmd        *exec.Cmd
	log        *os.File
	lines      *bufio.Scanner // of log
	url, admin string
	key        string
	ended      chan struct{}
}

func startPiped(t *testing.T) *pipedGate {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	g := &pipedGate{log: read, lines: bufio.NewScanner(read), key: keystore.Generate(), ended: make(chan struct{})}
	keys := testkit.WriteFile(t, "keys.yaml", "version: 1\nkeys: [{id: acme-web, sha256: "+keystore.DigestOf(g.key).String()+"}]\nchatflows: [{id: "+webChatflow+", keys: [acme-web]}]\n")
	g.cmd = exec.Command(testkit.Build(t), "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", keys, "--drain", "1s", "--log-level", "debug")
	g.cmd.Env = []string{"GORACE=" + testkit.RaceOptions}
	g.cmd.Stderr = write
	err = g.cmd.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = g.cmd.Wait() // the exit code is in ProcessState
		close(g.ended)
	}()
	t.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-g.ended
	})
	line := g.await(t, "serving")
	g.url, g.admin = "http://"+line["listen"].(string), "http://"+line["admin"].(string)
	return g
}

// await reads the log up to a line with a message.
func (g *pipedGate) await(t *testing.T, message string) map[string]any {
	t.Helper()
	if err := g.log.SetReadDeadline(time.Now().Add(testkit.Timeout)); err != nil {
		t.Fatal(err)
	}
	for g.lines.Scan() {
		var line map[string]any
		if err := json.Unmarshal(g.lines.Bytes(), &line); err != nil {
			t.Fatalf("log line %q: %v", g.lines.Bytes(), err)
		}
		if got, _ := line["message"].(string); strings.HasPrefix(got, message) {
			return line
		}
	}
	t.Fatalf("no log line %q: %v", message, g.lines.Err())
	return nil
}

// refused sends requests with a key for another chatflow. With the log at debug, each has a line.
func (g *pipedGate) refused(t *testing.T, requests int) {
	t.Helper()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			responses, err := flood(g.url, requests/8, func(int) string {
				return "POST /api/v1/prediction/" + batchChatflow + " HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer " + g.key + "\r\n\r\n"
			})
			if err != nil || responses[http.StatusForbidden] != requests/8 {
				t.Errorf("responses by status = %v, %v, want %d times 403", responses, err, requests/8)
			}
		})
	}
	all.Wait()
}

var droppedMetric = regexp.MustCompile(`(?m)^flowlatch_log_lines_dropped_total (\d+)$`)

// dropped returns the metric.
func (g *pipedGate) dropped(t *testing.T) int {
	t.Helper()
	m := droppedMetric.FindStringSubmatch(send(t, http.MethodGet, g.admin+"/metrics", "", "").body)
	if m == nil {
		t.Fatal("/metrics has no flowlatch_log_lines_dropped_total")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wantEnd sends SIGTERM and fails the test unless the process ends, with exit code 0, within its drain time and 5 s.
func (g *pipedGate) wantEnd(t *testing.T) {
	t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.ended:
	case <-time.After(6 * time.Second):
		t.Fatal("SIGTERM has not ended the process within its drain and 5 s")
	}
	if code := g.cmd.ProcessState.ExitCode(); code != exitOK {
		t.Errorf("exit code = %d, want 0", code)
	}
}

// TestStderrNotRead makes stderr a pipe that nobody reads. Requests, reloads and the exit of the gate do not wait for
// it.
func TestStderrNotRead(t *testing.T) {
	t.Parallel()
	g := startPiped(t)
	if n := g.dropped(t); n != 0 {
		t.Errorf("lines dropped while they are read = %d, want 0", n)
	}
	requests := 8000
	if testkit.Long() {
		requests = 20000
	}
	g.refused(t, requests)
	if a := send(t, http.MethodPost, g.admin+"/-/reload", "", ""); a.status != http.StatusOK {
		t.Errorf("POST /-/reload = %d, want 200", a.status)
	}
	dropped := g.dropped(t)
	if dropped == 0 || dropped > requests {
		t.Errorf("lines dropped = %d, want some of %d", dropped, requests)
	}
	// Once it is read again, the log says so.
	line := g.await(t, "log lines were dropped")
	if n, _ := line["lines"].(float64); int(n) < dropped || line["level"] != "warn" {
		t.Errorf("line about dropped ones = %v, want a warning of %d at least", line, dropped)
	}
	g.refused(t, 4000)
	g.wantEnd(t)
}

// TestStderrClosed closes the reading end of stderr.
func TestStderrClosed(t *testing.T) {
	t.Parallel()
	g := startPiped(t)
	g.log.Close()
	g.refused(t, 200)
	testkit.Eventually(t, "count of dropped lines", func() bool { return g.dropped(t) >= 200 })
	if a := send(t, http.MethodGet, g.admin+"/readyz", "", ""); a.status != http.StatusOK {
		t.Errorf("GET /readyz = %d, want 200", a.status)
	}
	g.wantEnd(t)
}
