package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/admin"
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
	var found map[string][]admin.RefusalStatus // with nothing else in it
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
