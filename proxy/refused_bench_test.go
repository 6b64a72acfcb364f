//go:build linux

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// BenchmarkRefused has clients that hammer a gate which refuses them, through real sockets: without a key, with an unknown one, and
// with one that has used up its rate, its quota or its requests at once. cpu-ns/op is the processor time of the process, without
// that of the client's thread.
func BenchmarkRefused(b *testing.B) {
	for _, bb := range []struct {
		name, secret, limits string
		status               int
	}{
		{"missing_key", "", "", 401},
		{"invalid_key", "fl_nobody-0123456789", "", 401},
		{"rate_limited", benchSecret(77), "requests: 1/744h", 429},
		{"quota_exceeded", benchSecret(77), "requests: 1/month", 429},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p := benchGate(b, "http://upstream")
			p.opts.Store = limitedStore(b, bb.limits)
			p.transport = noUpstream{}
			gate := httptest.NewServer(p)
			defer gate.Close()
			request := benchRequest(bb.secret)
			if bb.secret == "" {
				request = strings.Replace(request, "Authorization: Bearer \r\n", "", 1)
			}
			hammer(b, gate.Listener.Addr().String(), request, bb.status)
		})
	}
}

// limitedStore returns the keys of benchGate, of which the one that opens something has these limits.
func limitedStore(b *testing.B, limits string) *keystore.Store {
	b.Helper()
	file := fmt.Sprintf("version: 1\nkeys:\n  - id: key-77\n    sha256: %s\n", keystore.DigestOf(benchSecret(77)))
	if limits != "" {
		file += "    limits: {" + limits + "}\n"
	}
	store, err := keystore.Open(testkit.WriteFile(b, "limited.yaml", file+"chatflows:\n  - {id: "+bubbleBot+", keys: [key-77]}\n"), keystore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return store
}

// hammer sends a request again and again over one connection.
func hammer(b *testing.B, address, request string, status int) {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	raw := []byte(request)
	once := func() int {
		if _, err := conn.Write(raw); err != nil {
			b.Fatal(err)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res.StatusCode
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	once() // uses up what there is
	if got := once(); got != status {
		b.Fatalf("status = %d, want %d", got, status)
	}
	before, n := gateTime(b), 0
	for b.Loop() {
		once()
		n++
	}
	b.ReportMetric(float64(gateTime(b)-before)/float64(n), "cpu-ns/op")
}

// gateTime returns the processor time of the process without that of this thread.
func gateTime(b *testing.B) time.Duration {
	b.Helper()
	const rusageThread = 1
	var process, thread syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &process); err != nil {
		b.Fatal(err)
	}
	if err := syscall.Getrusage(rusageThread, &thread); err != nil {
		b.Fatal(err)
	}
	of := func(u syscall.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }
	return of(process) - of(thread)
}
