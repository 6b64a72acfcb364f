package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// noUpstream is a transport that responds to every request by itself, so that only the gate is measured.
type noUpstream struct{}

const responseBody = `{"text":"hello"}`

func (noUpstream) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header:        http.Header{"Content-Type": {"application/json"}},
		ContentLength: int64(len(responseBody)), Body: io.NopCloser(strings.NewReader(responseBody)),
	}, nil
}

func (noUpstream) CloseIdleConnections() {}

// benchGate returns a gate with 10,000 keys. Its log is written and thrown away.
func benchGate(t testing.TB, upstream string) *Proxy {
	t.Helper()
	var b strings.Builder
	b.WriteString("version: 1\nkeys:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "  - id: key-%d\n    sha256: %s\n", i, keystore.DigestOf(benchSecret(i)))
	}
	b.WriteString("chatflows:\n  - id: " + bubbleBot + "\n    keys: [key-77]\n")
	path := testkit.WriteFile(t, "keys.yaml", b.String())
	store, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Store: store, Upstream: u, Log: zerolog.New(io.Discard).Level(zerolog.InfoLevel), FailureLimit: FailureLimit{Burst: -1}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func benchSecret(i int) string { return fmt.Sprintf("fl_benchmark-%032d", i) }

const benchBody = `{"question":"How are you today?"}`

func benchRequest(secret string) string {
	return fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		bubbleBot, secret, len(benchBody), benchBody)
}

// BenchmarkServe sends requests through a gate with real sockets on both sides.
func BenchmarkServe(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(responseBody)))
		_, _ = io.WriteString(w, responseBody)
	}))
	defer upstream.Close()
	p := benchGate(b, upstream.URL)
	gate := httptest.NewServer(p)
	defer gate.Close()
	for name, secret := range map[string]string{"forwarded": benchSecret(77), "refused": "fl_nobody-0123456789"} {
		b.Run(name, func(b *testing.B) {
			conn, err := net.Dial("tcp", gate.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			request := []byte(benchRequest(secret))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
}

// BenchmarkHandler is the gate without sockets and without an upstream.
func BenchmarkHandler(b *testing.B) {
	for name, secret := range map[string]string{"forwarded": benchSecret(77), "refused": "fl_nobody-0123456789"} {
		b.Run(name, func(b *testing.B) {
			serve := handlerOnce(b, secret)
			b.ReportAllocs()
			for b.Loop() {
				serve()
			}
		})
	}
}

// handlerOnce returns a function that serves one request, as net/http would call it.
func handlerOnce(t testing.TB, secret string) func() {
	t.Helper()
	p := benchGate(t, "http://upstream")
	p.transport = noUpstream{}
	body := strings.NewReader(benchBody)
	w := &discarding{header: http.Header{}}
	return func() {
		body.Reset(benchBody)
		r := &http.Request{
			Method: "POST", RequestURI: "/api/v1/prediction/" + bubbleBot, URL: &url.URL{Path: "/api/v1/prediction/" + bubbleBot},
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "gate", RemoteAddr: "127.0.0.1:1000",
			Header: http.Header{
				"User-Agent": {"bench"}, "Accept": {"*/*"}, "Authorization": {"Bearer " + secret}, "Content-Type": {"application/json"},
				"Content-Length": {fmt.Sprint(len(benchBody))},
			},
			Body: io.NopCloser(body), ContentLength: int64(len(benchBody)),
		}
		clear(w.header)
		p.ServeHTTP(w, r)
	}
}

// discarding is a ResponseWriter that discards.
type discarding struct{ header http.Header }

func (d *discarding) Header() http.Header            { return d.header }
func (*discarding) Write(p []byte) (int, error)      { return len(p), nil }
func (*discarding) WriteHeader(int)                  {}
func (*discarding) Flush()                           {}
func (*discarding) EnableFullDuplex() error          { return nil }
func (*discarding) SetReadDeadline(time.Time) error  { return nil }
func (*discarding) SetWriteDeadline(time.Time) error { return nil }

// leastAllocations returns how many allocations a call makes if no garbage collection empties the pools meanwhile.
func leastAllocations(call func()) float64 {
	least := testing.AllocsPerRun(200, call)
	for range 9 {
		least = min(least, testing.AllocsPerRun(200, call))
	}
	return least
}

// TestAllocations limits how much garbage a request makes.
func TestAllocations(t *testing.T) {
	for name, tt := range map[string]struct {
		secret string
		max    float64
	}{
		"forwarded": {benchSecret(77), 68},
		"refused":   {"fl_nobody-0123456789", 27},
	} {
		t.Run(name, func(t *testing.T) {
			if got := leastAllocations(handlerOnce(t, tt.secret)); got > tt.max+raceSlack {
				t.Errorf("allocations of a request = %v, of which about 10 are the test's, want at most %v", got, tt.max)
			}
		})
	}
}
