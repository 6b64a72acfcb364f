package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// measuredGate is a gate whose use of resources is measured.
type measuredGate struct {
	*gate
	upstreamConns *atomic.Int64 // open connections from the gate to its upstream
}

// startMeasuredGate starts a gate. flags are flags of "go build": -race=false for tests that measure memory.
func startMeasuredGate(t *testing.T, upstream http.Handler, flags, args []string) measuredGate {
	t.Helper()
	g := measuredGate{upstreamConns: new(atomic.Int64)}
	server := httptest.NewUnstartedServer(upstream)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			g.upstreamConns.Add(1)
		case http.StateClosed, http.StateHijacked:
			g.upstreamConns.Add(-1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	g.gate = startGateWith(t, testkit.Options{Program: testkit.Build(t, flags...), Upstream: server.URL, Args: args})
	return g
}

// held is how many goroutines and file descriptors a process has.
type held struct{ goroutines, descriptors int }

// held returns what the process holds once it has closed its idle connections to the upstream: the least of several
// measurements.
func (g measuredGate) held(t *testing.T) held {
	t.Helper()
	testkit.Eventually(t, "end of the connections to the upstream", func() bool { return g.upstreamConns.Load() == 0 })
	least := g.heldNow(t)
	for range 10 {
		least = least.least(g.heldNow(t))
	}
	return least
}

// least returns the least of two. Neither can be less than what the process keeps: what varies is what a measurement needs.
func (h held) least(other held) held {
	return held{min(h.goroutines, other.goroutines), min(h.descriptors, other.descriptors)}
}

func (g measuredGate) heldNow(t *testing.T) held {
	t.Helper()
	goroutines := g.metric(t, "go_goroutines")
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.PID()))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // only Linux has it
		t.Fatal(err)
	}
	return held{goroutines, len(entries)}
}

// wantReleased waits until the process has held no more than before: as few goroutines once, and as few descriptors once.
func (g measuredGate) wantReleased(t *testing.T, before held) {
	t.Helper()
	least := g.heldNow(t)
	testkit.Eventually(t, fmt.Sprintf("return to %+v", before), func() bool {
		least = least.least(g.heldNow(t))
		return least.goroutines <= before.goroutines && least.descriptors <= before.descriptors
	})
}

// resident returns the resident memory of the process in bytes.
func (g measuredGate) resident(t *testing.T) int {
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
