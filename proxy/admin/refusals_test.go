package admin_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// TestRefusals looks for refusals by the request ID that a client got, and by the filter.
func TestRefusals(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	for range 25 {
		g.post(t, predict+botA, "", "")
	}
	id := g.send(t, predict+botA, "secret-expired-0123456789", "").Header.Get("X-Request-Id")
	testkit.Eventually(t, "last count", func() bool { return g.status(t, "").Totals.Requests == 26 })
	for query, want := range map[string]int{
		"": 20, "?limit=1": 20, "?filter=old": 1, "?filter=INVALID_KEY": 1, "?filter=bot-a": 20, "?filter=127.0.0.1": 20, "?filter=" + id: 1, "?filter=nothing": 0,
		"?request_id=" + id: 1, "?request_id=" + id[:8]: 1, "?request_id=" + id[1:]: 0, "?request_id=nobody-has-this": 0,
	} {
		if got := g.status(t, query).Refusals; len(got) != want {
			t.Errorf("refusals of /status%s = %d, want %d", query, len(got), want)
		}
	}
	body := g.ask("GET", "/status?request_id="+id, "localhost").Body.Bytes()
	var found map[string][]stats.Refusal // with nothing else in it
	if err := json.Unmarshal(body, &found); err != nil || len(found) != 1 || len(found["refusals"]) != 1 {
		t.Fatalf("status with a request ID = %s, %v, want one refusal and nothing else", body, err)
	}
	r := found["refusals"][0]
	if r.RequestID != id || r.Key != "old" || r.Chatflow != "bot-a" || r.Code != "invalid_key" || r.Status != 401 || r.Reason != "key has expired" || r.Client.String() != "127.0.0.1" || r.Time.IsZero() {
		t.Errorf("refusal = %+v, want that of the expired key", r)
	}
	for _, bad := range []string{"short", "with%20blank", strings.Repeat("x", 65), "<script>alert(1)</script>"} {
		if w := g.ask("GET", "/status?request_id="+bad, "localhost"); w.Code != 400 || !strings.Contains(w.Body.String(), "8 to 64") {
			t.Errorf("request_id=%s = %d %s, want 400 and what an ID is", bad, w.Code, w.Body)
		}
	}
}

// TestRefusedKeys: known keys that are refused are named, with why and how often; strangers are not.
func TestRefusedKeys(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	for _, secret := range []string{"secret-expired-0123456789", "secret-expired-0123456789", secretB, "secret-disabled-0123456789", "", "unknown-secret-0123456789", secretA} {
		g.post(t, predict+botA, secret, "")
	}
	testkit.Eventually(t, "last count", func() bool { return g.status(t, "").Totals.Requests == 7 })
	var got []string
	for _, k := range g.status(t, "?limit=1&filter=nothing").RefusedKeys {
		got = append(got, fmt.Sprintf("%s %d %s: %s", k.Key, k.Count, k.Code, k.Reason))
		if k.Client.String() != "127.0.0.1" || k.Last.IsZero() {
			t.Errorf("refused key %s = client %s at %s, want who and when", k.Key, k.Client, k.Last)
		}
	}
	want := []string{"off 1 invalid_key: key is disabled", "key-b 1 key_not_for_chatflow: key is not listed for the chatflow", "old 2 invalid_key: key has expired"}
	if !slices.Equal(got, want) {
		t.Errorf("refused keys = %q, want %q", got, want)
	}
}
