package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

const (
	floodConnections = 4        // over which the requests are sent
	floodBatch       = 200      // requests sent before the first response is read
	floodGrowth      = 16 << 20 // bytes of resident memory
	floodLogEach     = 512      // bytes of log for each refused request
)

// flood sends n requests to the gate at url over one connection, several at a time, and counts the responses by status.
func flood(url string, n int, request func(i int) string) (map[int]int, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	in, responses := bufio.NewReader(conn), map[int]int{}
	for i := 0; i < n; {
		var batch strings.Builder
		first := i
		for ; i < n && i < first+floodBatch; i++ {
			batch.WriteString(request(i))
		}
		if _, err := io.WriteString(conn, batch.String()); err != nil {
			return responses, err
		}
		for range i - first {
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				return responses, err
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				return responses, err
			}
			responses[res.StatusCode]++
		}
	}
	return responses, nil
}

// floodRefused floods the gate with n requests that it refuses. Each has a chatflow, a key and, in the header of a
// trusted proxy, a client address that no other request has, numbered from first on. One in four has a valid key
// instead, for another chatflow.
func (g *gate) floodRefused(t *testing.T, first, n int) (responses map[int]int) {
	t.Helper()
	responses = map[int]int{}
	var mu sync.Mutex // guards responses
	var clients sync.WaitGroup
	for c := range floodConnections {
		clients.Go(func() {
			got, err := flood(g.URL, n/floodConnections, func(i int) string {
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
				responses[status] += n
			}
		})
	}
	clients.Wait()
	return responses
}

// TestFloodOfRefusedRequests sends requests that have nothing in common. If the gate kept something of each, its memory,
// its metrics or its log would grow with their number.
func TestFloodOfRefusedRequests(t *testing.T) {
	t.Parallel()
	n := 10_000
	if testkit.Long() {
		n = 100_000
	}
	g := startMeasuredGate(t, newEcho(), []string{"-race=false"}, []string{"--trusted-proxies", "127.0.0.0/8"})
	g.floodRefused(t, 0, 4000) // so that what is allocated once is there before the measurement
	before, series, log := g.resident(t), g.series(t), len(g.Stderr.String())

	responses := g.floodRefused(t, 4000, n)

	total := 0
	for status, n := range responses {
		if total += n; status != 401 && status != 403 && status != 429 {
			t.Errorf("%d responses have status %d, want 401, 403 or 429", n, status)
		}
	}
	if total != n || responses[403] != n/4 {
		t.Errorf("responses = %v, want %d, a quarter of them 403, because their key is valid", responses, n)
	}
	if got := g.series(t); got > series+1 { // the first 429 may add one
		t.Errorf("metric series = %d, before the flood %d", got, series)
	}
	grown := g.resident(t) - before
	if grown > floodGrowth {
		t.Errorf("resident memory grew by %d KiB, want at most %d", grown>>10, floodGrowth>>10)
	}
	logged := len(g.Stderr.String()) - log
	if logged > n*floodLogEach {
		t.Errorf("log of the flood = %d bytes, want at most %d a request", logged, floodLogEach)
	}
	t.Logf("resident memory grew by %d KiB, %d bytes of log a request, responses %v", grown>>10, logged/n, responses)
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
		t.Errorf("predict with a good key after the flood = %d %s, want 200", res.status, res.body)
	}
	g.WantExit(t, syscall.SIGTERM)
}
