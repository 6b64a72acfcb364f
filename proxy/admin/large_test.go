package admin_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestLargeResponsesNobodyReads has more clients than the admin listener serves at once ask for all of a large status
// and all metrics, and read nothing. Probes, reloads and the page's status work meanwhile, and soon the large responses
// do, too.
func TestLargeResponsesNobodyReads(t *testing.T) {
	t.Parallel()
	n := 1000 // the kernel buffers such a response, whether a client reads it or not
	if testkit.Long() {
		n = 50_000
	}
	var keys strings.Builder
	keys.WriteString("version: 1\nchatflows: [{id: " + botA + ", keys: [key-with-a-long-name-of-a-customer-00000]}]\nkeys:\n")
	for i := range n {
		fmt.Fprintf(&keys, "  - {id: key-with-a-long-name-of-a-customer-%05d, not_after: 2200-01-01T00:00:00Z, sha256: %064x}\n", i, i+1)
	}
	g := newGate(t, keys.String(), nil)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	operators := listen()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.proxy.Serve(ctx, listen(), operators, g.Admin, 0) }()
	for i := range 50 {
		conn, err := net.Dial("tcp", operators.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", []string{"/status", "/metrics"}[i%2])
	}
	ask := func(method, path string) (status, size int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+operators.Addr().String()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Errorf("%s %s: %v", method, path, err)
		}
		return res.StatusCode, len(body)
	}
	for _, r := range []string{"GET /livez", "GET /readyz", "GET /status?limit=200", "POST /-/reload"} {
		method, path, _ := strings.Cut(r, " ")
		if status, _ := ask(method, path); status != 200 {
			t.Errorf("%s = %d, want 200", r, status)
		}
	}
	for path, want := range map[string]int{"/status": n * 100, "/metrics": n * 80} {
		testkit.Eventually(t, path, func() bool {
			status, size := ask("GET", path)
			return status == 200 && size > want
		})
	}
	began := time.Now()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the gate ended after %s, want 4 s at most", took)
	}
}
