//go:build linux

package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

func TestDivideDescriptors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ descriptors, wanted, clients, forwarded int }{
		{1 << 30, 10_000, 10_000, 1<<30 - 64 - 10_000},
		{65_536, 10_000, 10_000, 55_472},
		{20_000, 10_000, 9968, 9968},
		{1024, 10_000, 480, 480},
		{256, 10_000, 96, 96},
		{256, 10, 10, 182},
		{64, 10_000, 1, 1}, // the gate is of no use, but says so
		{3, 10_000, 1, 1},
	} {
		clients, forwarded := divideDescriptors(tt.descriptors, tt.wanted)
		if clients != tt.clients || forwarded != tt.forwarded {
			t.Errorf("divideDescriptors(%d, %d) = %d, %d, want %d, %d", tt.descriptors, tt.wanted, clients, forwarded, tt.clients, tt.forwarded)
		}
	}
}

// startFewDescriptors starts a gate that may have 256 files and sockets open.
func startFewDescriptors(t *testing.T, upstream http.Handler, args ...string) *gate {
	t.Helper()
	program := testkit.WriteFile(t, "gate", "#!/bin/sh\nulimit -n 256 && exec "+testkit.Build(t)+" \"$@\"\n")
	if err := syscall.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	return startGateWith(t, testkit.Options{Program: program, Upstream: testkit.Upstream(t, upstream).URL, Args: args})
}

// TestFewDescriptors opens more idle connections than the gate has descriptors for. Clients must still be served,
// operators get responses, and a revoked key must be refused.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	g := startFewDescriptors(t, newEcho())
	line := g.AwaitLog(t, "fewer client connections than --max-connections, because each may need two file descriptors; raise `ulimit -n`")
	if line["max_connections"] != 96.0 || line["descriptors"] != 256.0 {
		t.Errorf("log line = %v, want 96 connections of 256 descriptors", line)
	}
	var idle conns
	defer idle.close()
	for range 300 {
		conn := idle.dial(t, measuredGate{gate: g}, "GET /api/v1/none HTTP/1.1\r\nHost: gate\r\n\r\n")
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusNotFound {
			t.Fatalf("response over a new connection = %v, %v, want 404", res, err)
		}
	}
	if n := g.metric(t, "flowlatch_connections"); n != 96 {
		t.Errorf("flowlatch_connections = %d, want 96", n)
	}
	g.wantServing(t)
	testkit.ReplaceFile(t, g.Keys, strings.Replace(g.keyFile(), "- id: acme-web\n", "- id: acme-web\n    disabled: true\n", 1))
	if res := send(t, http.MethodPost, g.Admin+"/-/reload", "", ""); res.status != http.StatusOK {
		t.Errorf("POST /-/reload = %d %s, want 200", res.status, res.body)
	}
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusUnauthorized {
		t.Errorf("predict with a revoked key = %d, want 401", res.status)
	}
	g.AwaitLog(t, "too many client connections: those that were idle for longest are closed, or new ones where none is idle; raise --max-connections or `ulimit -n`, or limit clients before the gate")
	g.WantExit(t, syscall.SIGTERM)
}

// wantServing fails the test unless the gate serves a client with a key, is ready, and says so to healthcheck.
func (g *gate) wantServing(t *testing.T) {
	t.Helper()
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
		t.Errorf("predict = %d %s, want 200", res.status, res.body)
	}
	if res := send(t, http.MethodGet, g.Admin+"/readyz", "", ""); res.status != http.StatusOK {
		t.Errorf("GET /readyz = %d, want 200", res.status)
	}
	if code, stdout, stderr := finish(t, "healthcheck", "--admin", strings.TrimPrefix(g.Admin, "http://")); code != exitOK {
		t.Errorf("healthcheck = %d %s, want 0", code, fmt.Sprint(stdout, stderr))
	}
}
