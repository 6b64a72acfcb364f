package proxy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
)

const secretHoney = "secret-of-honey-0123456789"

var honeyFile = strings.Replace(keyFile, "chatflows:\n", "  - {id: trap, secret: "+secretHoney+", honey: true}\n  - {id: spent, secret: spent-"+secretHoney+", honey: true, disabled: true}\nchatflows:\n", 1) + publicEntry

// TestHoneyKey: for its client, a honey key looks like any wrong key, wherever it is sent. But the operator is told.
func TestHoneyKey(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, honeyFile)(o)
		o.QuietAllowed = true
	})
	for _, target := range []string{
		"POST /api/v1/prediction/" + botA, "POST /api/v1/prediction/" + unlisted, "POST /api/v1/prediction/" + botPublic,
		"GET /api/v1/chatflows-streaming/" + botA, "GET /api/v1/ping", "GET /api/v1/chatflows", "GET /-/key",
		"PUT /api/v1/feedback/00000000-0000-4000-8000-0000000000ff", "POST /api/v1/prediction/%20",
	} {
		method, path, _ := strings.Cut(target, " ")
		ask := func(secret string) *response { return g.request(t, method, path, "", bearerOf(secret)) }
		honey, wrong := ask(secretHoney), ask("secret-of-nobody-0123456789")
		if got, want := sameFor(honey), sameFor(wrong); got != want {
			t.Errorf("%s with a honey key = %s, want what a wrong key gets: %s", target, got, want)
		}
	}
	const decided = 7 // that many of the requests; the others are refused before a key matters
	testkit.Eventually(t, "end of the requests", func() bool { return g.proxy.Stats().KeyUse("trap").Honey == decided })
	if use := g.proxy.Stats().KeyUse("trap"); !use.LastUsed.IsZero() || use.Open != 0 || use.Requests != decided {
		t.Errorf("use of the honey key = %+v, want none", use)
	}
	testkit.Eventually(t, "log lines", func() bool { return strings.Count(g.log.String(), `"honey":true`) == decided })
	for line := range strings.Lines(g.log.String()) {
		var l struct {
			Level, Key string
			Honey      bool
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Honey != (l.Key == "trap") || l.Honey != (l.Level == "error") {
			t.Errorf("log line %s, %v, want level error for the honey key alone", line, err)
		}
	}
	checkProblem(t, g.request(t, "POST", "/api/v1/prediction/"+botA, "", bearerOf("spent-"+secretHoney)), 401, "invalid_key")
	testkit.Eventually(t, "end of the request", func() bool { return g.proxy.Stats().KeyUse("spent").Requests == 1 })
	if use := g.proxy.Stats().KeyUse("spent"); use.Honey != 0 {
		t.Errorf("a honey key that is disabled counts %d, want 0", use.Honey)
	}
}

// sameFor returns the parts of a response that must not differ: everything except the request ID and the date.
func sameFor(r *response) string {
	body := strings.ReplaceAll(r.body, r.header.Get("X-Request-Id"), "ID")
	h := r.header.Clone()
	h.Del("X-Request-Id")
	h.Del("Date")
	text, _ := json.Marshal(struct {
		Status int
		Header http.Header
		Body   string
	}{r.status, h, body})
	return string(text)
}

// TestHoneyKeyCountsAsFailure: a client that tries honey keys gets 429, as with other wrong keys. The operator is told of
// those requests, too.
func TestHoneyKeyCountsAsFailure(t *testing.T) {
	t.Parallel()
	const burst = 3
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, honeyFile)(o)
		o.FailureLimit = proxy.FailureLimit{Burst: burst, Per: time.Hour}
	})
	for i := range burst + 1 {
		want := 401
		if i == burst {
			want = 429
		}
		if res := g.request(t, "POST", "/api/v1/prediction/"+botA, "", bearerOf(secretHoney)); res.status != want {
			t.Errorf("request %d with the honey key = %d, want %d", i+1, res.status, want)
		}
	}
	testkit.Eventually(t, "end of the requests", func() bool { return g.proxy.Stats().KeyUse("trap").Honey == burst+1 })
}
