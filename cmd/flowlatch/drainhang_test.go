//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestDrainEndsWhateverHangs ends a gate while its upstream does not respond, its operators do not read, and its
// clients do not read or have stopped in the middle of a header, a TLS handshake or a body.
func TestDrainEndsWhateverHangs(t *testing.T) {
	t.Parallel()
	g := startAttacked(t, nil, attack{tls: true, keys: 20_000}, "--drain", "500ms")
	key := hpack.HeaderField{Name: "authorization", Value: "Bearer " + g.web}
	for range 5 {
		g.dialTCP(t, g.address()) // no handshake
		fmt.Fprint(g.dialTLS(t, "http/1.1"), "GET /api")
		fmt.Fprintf(g.dialTLS(t, "http/1.1"), "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", webChatflow, g.web)
		fmt.Fprintf(g.dialTLS(t, "http/1.1"), "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\nhalf", webChatflow, g.web)
		c := g.dialH2(t, 0)
		c.request("POST", "/api/v1/prediction/"+webChatflow, true, key)
		c.request("POST", "/api/v1/prediction/"+webChatflow, false, key)
		_ = c.WriteData(c.stream-1, true, []byte("response that nobody takes"))
		c.request("POST", "/none", true)
		conn := g.dialTCP(t, strings.TrimPrefix(g.Admin, "http://"))
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		fmt.Fprint(conn, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	testkit.Eventually(t, "all requests", func() bool { return g.stalled.Load() == 10 && g.openRequests(t) >= 20 })
	g.Signal(t, syscall.SIGTERM)
	testkit.EventuallyWithin(t, 15*time.Second, "end within the drain and 5 s", g.Ended)
	if code := g.Wait(t); code != exitOK {
		t.Errorf("exit code = %d, want 0", code)
	}
}

// openRequests returns how many requests are open.
func (g *gate) openRequests(t *testing.T) int {
	t.Helper()
	body := send(t, http.MethodGet, g.Admin+"/status?limit=1", "", "").body
	var status struct {
		OpenRequests int `json:"open_requests"`
	}
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatalf("status = %.500s: %v", body, err)
	}
	return status.OpenRequests
}
