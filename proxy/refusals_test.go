package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// refusal returns the only refusal with this request ID, once it has been noted.
func (g *gate) refusal(t *testing.T, id string) (found stats.Refusal) {
	t.Helper()
	testkit.Eventually(t, "refusal "+id, func() bool {
		for _, r := range g.proxy.Stats().Refusals() {
			if r.RequestID == id {
				found = *r
				return true
			}
		}
		return false
	})
	return found
}

// TestRecentRefusals: refusals and failures are remembered with the request ID that the client got.
func TestRecentRefusals(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, botB) { // breaks off in the middle of the response
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}, nil)
	const predict = "/api/v1/prediction/"
	for _, tt := range []struct {
		name, method, path, secret string
		want                       stats.Refusal
	}{
		{"no key", "POST", predict + botA, "", stats.Refusal{Method: "POST", Route: "prediction", Chatflow: "bot-a", Status: 401, Code: "missing_key", Reason: "no bearer token"}},
		{"unknown key", "POST", predict + botA, "unknown-0123456789", stats.Refusal{Method: "POST", Route: "prediction", Chatflow: "bot-a", Status: 401, Code: "invalid_key", Reason: "unknown key"}},
		{"expired", "POST", predict + botA, secretExpired, stats.Refusal{Method: "POST", Route: "prediction", Chatflow: "bot-a", Key: "old", Status: 401, Code: "invalid_key", Reason: "key has expired"}},
		{"other chatflow", "POST", predict + botB, secretA, stats.Refusal{Method: "POST", Route: "prediction", Chatflow: botB, Key: "key-a", Status: 403, Code: "key_not_for_chatflow", Reason: "key is not listed for the chatflow"}},
		{"a method of the client's own", "WORD", predict + botA, secretA, stats.Refusal{Method: "other", Status: 405, Code: "method_not_allowed"}},
		{"broken off", "POST", predict + botB, secretB, stats.Refusal{Method: "POST", Route: "prediction", Chatflow: botB, Key: "key-b", Status: 200, Code: "upstream_broken", Reason: "the upstream broke off in the middle of its response"}},
	} {
		began := time.Now()
		id := g.send(t, tt.method, tt.path, tt.secret)
		got := g.refusal(t, id)
		ignore := cmpopts.IgnoreFields(stats.Refusal{}, "Time", "RequestID", "Client", "Reason")
		if tt.want.Reason != "" {
			ignore = cmpopts.IgnoreFields(stats.Refusal{}, "Time", "RequestID", "Client")
		}
		if diff := cmp.Diff(tt.want, got, ignore, cmpopts.EquateComparable()); diff != "" {
			t.Errorf("refusal of %s (-want +got):\n%s", tt.name, diff)
		}
		if got.Client.String() != "127.0.0.1" || got.Time.Before(began) || got.Time.After(time.Now()) {
			t.Errorf("refusal of %s: client %s at %s, want 127.0.0.1 just now", tt.name, got.Client, got.Time)
		}
	}
	g.send(t, "POST", predict+botA, secretA)
	testkit.Eventually(t, "all counts", func() bool { all, _ := g.proxy.Stats().Totals(); return all.Requests == 7 })
	list := g.proxy.Stats().Refusals()
	if len(list) != 6 || list[0].Code != "upstream_broken" || list[5].Code != "missing_key" {
		t.Errorf("refusals = %d, the first %+v, want 6 without the request that was served, the newest first", len(list), list[0])
	}
}

// send sends a request and returns its ID.
func (g *gate) send(t *testing.T, method, path, secret string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body) // fails in one row
	res.Body.Close()
	return res.Header.Get("X-Request-Id")
}

// TestRecentRefusalsOfAFlood: clients without a key cannot push out what happened to those with one, and memory is
// bounded.
func TestRecentRefusalsOfAFlood(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	id := g.send(t, "POST", "/api/v1/prediction/"+botA, secretExpired)
	g.refusal(t, id)
	serve := func(i int) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.RequestURI, r.RemoteAddr = fmt.Sprintf("/api/v1/flood/%d", i), "192.0.2.1:1"
		g.proxy.ServeHTTP(&nowhere{header: http.Header{}}, r)
	}
	for i := range 2000 {
		serve(i)
	}
	list := g.proxy.Stats().Refusals()
	if len(list) != 513 || list[512].RequestID != id {
		t.Errorf("refusals after a flood = %d, want 512 of strangers and that of the expired key", len(list))
	}
}

// nowhere is a ResponseWriter that discards.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header       { return n.header }
func (*nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (*nowhere) WriteHeader(int)             {}
