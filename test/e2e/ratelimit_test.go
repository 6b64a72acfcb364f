//go:build e2e

package e2e

import (
	"context"
	"net"
	"net/http"
	"testing"
)

// rateLimitByAddress asks a chatflow with a rate limit of Flowise's own from two addresses. flowise.sh sets
// NUMBER_OF_PROXIES=1, as docs/operations.md wants it for Flowise 2: without it, all clients of the gate are one.
func rateLimitByAddress(t *testing.T, l *lab) {
	limited := l.flowise.chatflow(t, "limited", "CHATFLOW", echoNodes(), map[string]any{
		"apiConfig": asJSON(t, map[string]any{"rateLimit": map[string]any{"status": true, "limitMax": 2, "limitDuration": 600, "limitMsg": "slow down"}}),
	})
	keys := l.keyFile(t)
	key := keys.add(t, "client", limited)
	g := l.serve(t, keys.path)
	from := func(address string) int {
		t.Helper()
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, to)
		}}}
		r := ask(limited, unique(), key)
		r.header = map[string]string{"X-Forwarded-For": unique()} // a client that wants to be another each time
		res, err := open(t, c, g.URL, r)
		if err != nil {
			t.Fatal(err)
		}
		return whole(t, r, res).status
	}
	for i, want := range []int{200, 200, 429} {
		if got := from("127.0.0.2"); got != want {
			t.Errorf("request %d of the first client = %d, want %d", i+1, got, want)
		}
	}
	if got := from("127.0.0.3"); got != 200 {
		t.Errorf("request of another client = %d, want 200", got)
	}
}
