package admin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestStatusLimits uses some of a key's limits, and looks at the key in each kind of status.
func TestStatusLimits(t *testing.T) {
	t.Parallel()
	entered, hold := make(chan struct{}, 1), make(chan struct{})
	g := newGate(t, strings.NewReplacer(
		secretA+"}", secretA+", limits: {requests: [100/1h, 10/month], bytes: 1GiB/day, concurrent: 4}}",
		secretB+"}", secretB+", limits: {requests: 1/week, enforce: false}}",
	).Replace(keyFile), func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "hold") {
			entered <- struct{}{}
			<-hold // even after its client has left: a place is kept until the upstream has ended
		}
	})
	t.Cleanup(func() { close(hold) }) // before the servers are closed
	for range 2 {
		g.send(t, "/api/v1/prediction/"+botA, secretA, "{}")
		g.send(t, "/api/v1/prediction/"+botB, secretB, "{}")
	}
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/api/v1/prediction/"+botA, strings.NewReader(`{"question":"hold"}`))
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer "+secretA)
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	<-entered
	// The bytes are those of two responses, "{}" sent and nothing received; the one that is held has not been counted.
	a := []admin.LimitStatus{{"concurrent: 4", 4, 1, true}, {"requests: 10/month", 10, 3, true}, {"bytes: 1GiB/day", 1 << 30, 4, true}}
	b := []admin.LimitStatus{{"requests: 1/week", 1, 1, false}}
	get := func(query string, into any) {
		w := g.ask("GET", "/status"+query, "localhost:9901")
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Errorf("GET /status%s = %d, %v", query, w.Code, err)
		}
	}
	for query, want := range map[string]map[string][]admin.LimitStatus{
		"?limit=100":             {"key-a": a, "key-b": b},
		"?limit=100&filter=ops":  {},
		"":                       {}, // of all keys: it would cost too much
		"?limit=1000":            {},
		"?limit=1&keys_by=id":    {"key-a": a},
		"?limit=100&filter=ey-b": {"key-b": b},
	} {
		var s admin.Status
		get(query, &s)
		got := map[string][]admin.LimitStatus{}
		for _, k := range s.Keys {
			if len(k.Limits) > 0 {
				got[k.ID] = k.Limits
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || s.LimitsDegraded {
			t.Errorf("limits in /status%s, degraded %v (-want +got):\n%s", query, s.LimitsDegraded, diff)
		}
	}
	var one admin.OneKey
	get("?key=key-a", &one)
	if diff := cmp.Diff(a, one.Key.Limits); diff != "" {
		t.Errorf("limits in /status?key=key-a (-want +got):\n%s", diff)
	}
}

// TestStatusLimitsDegraded has a gate whose Redis does not answer.
func TestStatusLimitsDegraded(t *testing.T) {
	t.Parallel()
	store, err := keystore.Open(testkit.WriteFile(t, "keys.yaml", keyFile), keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxy.New(proxy.Options{Store: store, Upstream: &url.URL{Scheme: "http", Host: "127.0.0.1:9"}, Limiter: limit.NewRedis(limit.RedisOptions{})})
	if err != nil {
		t.Fatal(err)
	}
	if s := admin.New(p, admin.Options{}).Status(); !s.LimitsDegraded {
		t.Error("limits_degraded = false, want true: Redis was never there")
	}
}
