package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestKeyUse checks what counts as use of a key: it opened what the request asked for, and nothing else that the gate
// checks led to a refusal.
func TestKeyUse(t *testing.T) {
	t.Parallel()
	const checked = "00000000-0000-4000-8000-00000000000c"
	keys := keyFile + publicEntry + "  - {id: " + checked + ", keys: [key-a, key-b], body: {deny: [overrideConfig]}}\n"
	predict := "/api/v1/prediction/"
	for _, tt := range []struct {
		name           string
		key            string // ID of the key that is presented
		method, target string
		body           string
		secret         string
		status         int
		used           bool
		refused        problem.Code
	}{
		{"opens its chatflow", "key-a", "POST", predict + botA, "{}", secretA, 200, true, ""},
		{"opens every chatflow", "ops", "POST", predict + unlisted, "{}", secretOps, 200, true, ""},
		{"for another chatflow", "key-a", "POST", predict + botB, "{}", secretA, 403, false, problem.KeyNotForChatflow},
		{"expired", "old", "POST", predict + botA, "{}", secretExpired, 401, false, problem.InvalidKey},
		{"disabled", "off", "POST", predict + botA, "{}", secretDisabled, 401, false, problem.InvalidKey},
		{"not valid yet", "new", "POST", predict + botA, "{}", secretFuture, 401, false, problem.InvalidKey},
		{"disabled, on a discovery route", "off", "GET", "/api/v1/chatflows-streaming/" + botA, "", secretDisabled, 200, false, ""},
		{"expired, on a discovery route", "old", "GET", "/api/v1/chatflows-streaming/" + botA, "", secretExpired, 200, false, ""},
		{"for another chatflow, on a discovery route", "key-b", "GET", "/api/v1/chatflows-streaming/" + botA, "", secretB, 200, false, ""},
		{"on a discovery route that it opens", "key-a", "GET", "/api/v1/chatflows-streaming/" + botA, "", secretA, 200, true, ""},
		{"not listed for a public chatflow", "key-a", "POST", predict + botPublic, "{}", secretA, 200, false, ""},
		{"on a route for all", "key-a", "GET", "/api/v1/ping", "", secretA, 200, false, ""},
		{"on a route for any key", "key-a", "PUT", "/api/v1/feedback/00000000-0000-4000-8000-0000000000ff", "{}", secretA, 200, true, ""},
		{"disabled, on a route for any key", "off", "PUT", "/api/v1/feedback/00000000-0000-4000-8000-0000000000ff", "{}", secretDisabled, 401, false, problem.InvalidKey},
		{"a body that is allowed", "key-a", "POST", predict + checked, `{"question":"?"}`, secretA, 200, true, ""},
		{"a body with a denied member", "key-a", "POST", predict + checked, `{"overrideConfig":{}}`, secretA, 403, false, problem.FieldNotAllowed},
		{"a body that is no JSON", "key-a", "POST", predict + checked, `{`, secretA, 400, false, problem.BadRequest},
		{"a path that is not exposed", "", "GET", "/api/v1/chatflows", "", secretA, 404, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, nil, withKeys(t, keys))
			headers := []string{bearerOf(tt.secret)}
			if tt.body != "" {
				headers = append(headers, jsonType)
			}
			if res := g.request(t, tt.method, tt.target, tt.body, headers...); res.status != tt.status {
				t.Fatalf("%s %s = %d %s, want %d", tt.method, tt.target, res.status, res.body, tt.status)
			}
			if got := !g.proxy.Stats().LastUsed(tt.key).IsZero(); got != tt.used { // already now, although the request may not be over
				t.Errorf("LastUsed(%s) is set = %t, want %t", tt.key, got, tt.used)
			}
			if tt.key == "" {
				return
			}
			testkit.Eventually(t, "end of the request", func() bool { return g.proxy.Stats().KeyUse(tt.key).Requests == 1 })
			use := g.proxy.Stats().KeyUse(tt.key)
			if got := !use.LastUsed.IsZero(); got != tt.used {
				t.Errorf("KeyUse(%s).LastUsed is set = %t, want %t", tt.key, got, tt.used)
			}
			if byCode := use.RefusedByCode(); tt.refused == "" && len(byCode) > 0 || tt.refused != "" && (byCode[tt.refused] != 1 || use.LastRefused.IsZero()) {
				t.Errorf("refusals of %s = %v, last at %v, want one of %q", tt.key, byCode, use.LastRefused, tt.refused)
			}
		})
	}
}

// TestUseOfAnOpenStream: a key is in use from the decision on, until its last request has ended.
func TestUseOfAnOpenStream(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	s := serveGateWith(t, events(next), time.Minute, nil)
	res := stream(t, s.base)
	use := s.proxy.Stats().KeyUse("key-a")
	if use.LastUsed.IsZero() || use.LastRequest.IsZero() || use.Open != 1 || use.Streams != 1 {
		t.Errorf("last use of an open stream = %v, last request = %v, open = %d, streams = %d, want two times, 1 and 1", use.LastUsed, use.LastRequest, use.Open, use.Streams)
	}
	testkit.Eventually(t, "next second", func() bool { return time.Now().Unix() > use.LastUsed.Unix() })
	close(next)
	if _, err := io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "end of the stream", func() bool { return s.proxy.Stats().KeyUse("key-a").Open == 0 })
	if end := s.proxy.Stats().KeyUse("key-a"); !end.LastUsed.After(use.LastUsed) || end.Streams != 0 {
		t.Errorf("last use after the stream = %v, streams = %d, want later than %v, and 0", end.LastUsed, end.Streams, use.LastUsed)
	}
}

// TestUseOfSecrets: while a key has several secrets, the log tells them apart, and so does the time of their last use.
func TestUseOfSecrets(t *testing.T) {
	t.Parallel()
	const old, current = "old-secret-of-a-0123456789", "new-secret-of-a-0123456789"
	two := strings.Replace(keyFile, "{id: key-a, secret: "+secretA+"}",
		"{id: key-a, secrets: [{secret: "+old+", not_after: 2200-01-01T00:00:00Z}, {secret: "+current+"}]}", 1)
	g := newGate(t, nil, withKeys(t, two))
	predict := "/api/v1/prediction/"
	g.request(t, "POST", predict+botA, "{}", bearerOf(old), jsonType)
	g.request(t, "POST", predict+botB, "{}", bearerOf(current), jsonType) // refused, so not a use
	g.request(t, "POST", predict+botB, "{}", bearerOf(secretB), jsonType) // a key with one secret
	testkit.Eventually(t, "log lines", func() bool { return strings.Count(g.log.String(), `"message":"request"`) == 3 })
	for key, want := range map[string]string{
		`"status":200`: fmt.Sprintf(`"key":"key-a","key_fingerprint":%q,`, keystore.DigestOf(old).Fingerprint()),
		`"status":403`: fmt.Sprintf(`"key":"key-a","key_fingerprint":%q,`, keystore.DigestOf(current).Fingerprint()),
	} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("log = %s, want %s in the line with %s", g.log, want, key)
		}
	}
	if strings.Count(g.log.String(), "key_fingerprint") != 2 {
		t.Errorf("log = %s, want no key_fingerprint for a key with one secret", g.log)
	}
	use := g.proxy.Stats().KeyUse("key-a")
	if use.SecretLastUsed(keystore.DigestOf(old)).IsZero() || !use.SecretLastUsed(keystore.DigestOf(current)).IsZero() {
		t.Errorf("last use of the secrets = %v and %v, want a time and none", use.SecretLastUsed(keystore.DigestOf(old)), use.SecretLastUsed(keystore.DigestOf(current)))
	}
}

// TestPruneGone reloads key files that have another key and another chatflow each time. What was counted for those that
// are gone is forgotten, even if a stream of one ends after the reload.
func TestPruneGone(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	s := serveGateWith(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Stream") != "" {
			events(next)(w, r)
		}
	}, time.Minute, func(o *proxy.Options) { o.Log = o.Log.Level(4) })
	reload := func(content string) {
		t.Helper()
		testkit.ReplaceFile(t, s.keys, content)
		if code, body := s.adminGet(t, "POST", "/-/reload"); code != 200 {
			t.Fatalf("reload = %d %s", code, body)
		}
	}
	const n = 50
	var last *http.Response
	for i := range n {
		id, secret := fmt.Sprintf("gone-%d", i), fmt.Sprintf("secret-of-gone-%d-0123456789", i)
		chatflow := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		reload(strings.Replace(keyFile, "keys:\n", "keys:\n  - {id: "+id+", secret: "+secret+"}\n", 1) + "  - {id: " + chatflow + ", name: flow-" + id + ", keys: [" + id + "]}\n")
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.base+"/api/v1/prediction/"+chatflow, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		if i == n-1 {
			req.Header.Set("X-Stream", "1")
		}
		if last, err = http.DefaultClient.Do(req); err != nil || last.StatusCode != 200 {
			t.Fatalf("request with %s = %v, %v, want 200", id, last, err)
		}
		if i < n-1 {
			last.Body.Close()
		}
	}
	defer last.Body.Close()
	reload(keyFile)
	metrics := func() string { _, text := s.adminGet(t, "GET", "/metrics"); return text }
	testkit.Eventually(t, "end of all series but those of the open stream", func() bool { return !strings.Contains(metrics(), "gone-") })
	if use := s.proxy.Stats().KeyUse("gone-49"); use.Open != 1 {
		t.Errorf("open requests of the key with a stream = %d, want 1", use.Open)
	}
	close(next)
	if _, err := io.ReadAll(last.Body); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "end of what the stream left behind", func() bool {
		use := s.proxy.Stats().KeyUse("gone-49")
		return !strings.Contains(metrics(), "gone-") && use.Requests == 0 && use.LastUsed.IsZero()
	})
	for i := range n {
		if s.proxy.Stats().ChatflowCounts(fmt.Sprintf("00000000-0000-4000-8000-%012d", i)).Requests != 0 {
			t.Errorf("counts of chatflow %d are there", i)
		}
	}
}
