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

// BenchmarkRefused has clients hammer a gate that refuses them, through real sockets: without a key, with an unknown one,
// and with one that has used up its rate, its quota, or one of six limits. They take turns, so that whatever else the
// machine does affects all of them equally. µs/401 and the like is the CPU time of the process without that of the
// client's thread, ×401 its ratio to that of requests without a key.
func BenchmarkRefused(b *testing.B) {
	const turn = 200 // requests
	kinds := []struct {
		name, secret  string
		key, chatflow string // their limits
		status        int
		time          time.Duration
		once          func() int
	}{
		{name: "missing_key", status: 401},
		{name: "invalid_key", secret: "fl_nobody-0123456789", status: 401},
		{name: "rate_limited", secret: benchSecret(77), key: "requests: 1/744h", status: 429},
		{name: "quota_exceeded", secret: benchSecret(77), key: "requests: 1/month", status: 429},
		{
			name: "six_limits", secret: benchSecret(77), key: "requests: 1/744h, concurrent: 1000",
			chatflow: "requests: 1000000/1s, concurrent: 1000, per_client: {requests: 1000000/1s, concurrent: 1000}", status: 429,
		},
	}
	for i := range kinds {
		k := &kinds[i]
		p := benchGate(b, "http://upstream")
		p.opts.Store, p.transport = limitedStore(b, k.key, k.chatflow), noUpstream{}
		gate := httptest.NewServer(p)
		defer gate.Close()
		request := benchRequest(k.secret)
		if k.secret == "" {
			request = strings.Replace(request, "Authorization: Bearer \r\n", "", 1)
		}
		k.once = asker(b, gate.Listener.Addr().String(), request)
		k.once() // uses up what is left
		for range 2 * sampleBurst {
			if got := k.once(); got != k.status {
				b.Fatalf("%s: status = %d, want %d", k.name, got, k.status)
			}
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	turns := 0
	for b.Loop() {
		for i := range kinds {
			before := gateTime(b)
			for range turn {
				kinds[i].once()
			}
			kinds[i].time += gateTime(b) - before
		}
		turns++
	}
	for _, k := range kinds {
		b.ReportMetric(float64(k.time.Microseconds())/float64(turns*turn), "µs/"+k.name)
		b.ReportMetric(float64(k.time)/float64(kinds[0].time), "×401/"+k.name)
	}
}

// limitedStore returns a store with benchGate's key that opens something, with these limits for it and for its chatflow.
func limitedStore(b *testing.B, key, chatflow string) *keystore.Store {
	b.Helper()
	limits := func(l string) string {
		if l == "" {
			return ""
		}
		return "    limits: {" + l + "}\n"
	}
	file := fmt.Sprintf("version: 1\nkeys:\n  - id: key-77\n    sha256: %s\n%schatflows:\n  - id: %s\n    keys: [key-77]\n%s",
		keystore.DigestOf(benchSecret(77)), limits(key), bubbleBot, limits(chatflow))
	store, err := keystore.Open(testkit.WriteFile(b, "limited.yaml", file), keystore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return store
}

// asker returns a function that sends a request over its own connection and returns the status of the response.
func asker(b *testing.B, address, request string) func() int {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	r := bufio.NewReader(conn)
	raw := []byte(request)
	return func() int {
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
}

// gateTime returns the CPU time of the process without that of this thread.
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
