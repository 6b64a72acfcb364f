package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// TestBrowserTokenLimits checks the limits of each user, the number of messages, and the limits of the key for all users.
func TestBrowserTokenLimits(t *testing.T) {
	t.Parallel()
	g, secrets := browserGate(t, nil, func(o *proxy.Options) {
		withKeys(t, strings.Replace(browserFile, "    secret: "+secretWeb+"\n", "    secret: "+secretWeb+"\n    limits: {requests: 9/1h}\n", 1))(o)
	})
	user := func(name string, messages int64) string {
		return browserToken(t, secrets, func(tok *token.Token) { tok.User, tok.Messages = name, messages })
	}
	limited, few, again := user("42", 0), user("43", 2), user("43", 2)
	const config = "/api/v1/public-chatbotConfig/" + botA
	told := false
	for n, step := range []struct{ token, path, want string }{
		{limited, "", ""},
		{limited, "", ""},
		{user("42", 0), "", ""}, // another token of the same user
		{limited, "", string(problem.RateLimited)},
		{limited, config, string(problem.RateLimited)},
		{few, "", ""},
		{few, config, ""}, // not a message
		{few, "", ""},
		{user("44", 1), "", ""},
		{user("44", 1), "", ""},
		{again, "", string(problem.RateLimited)}, // the user's limit is checked before messages are counted
		{user("45", 1), "", ""},                  // the ninth with the key
		{user("46", 1), "", string(problem.RateLimited)},
	} {
		var res *response
		if step.path == "" {
			res = g.predict(t, botA, step.token, "Origin: "+pageOrigin)
		} else {
			res = g.request(t, "GET", step.path, "", bearerOf(step.token), "Origin: "+pageOrigin)
		}
		if res.problem.Code != step.want {
			t.Errorf("request %d = %d %q %s, want %q", n+1, res.status, res.problem.Code, res.problem.Detail, step.want)
		}
		if policy := res.header.Get("RateLimit-Policy"); strings.Contains(policy, "key ") || strings.Contains(res.header.Get("RateLimit"), "key ") {
			t.Errorf("request %d: RateLimit-Policy %q tells a visitor of the key's limits", n+1, policy)
		}
		told = told || strings.Contains(res.header.Get("RateLimit"), "user requests: ")
	}
	if !told {
		t.Error("no response told a visitor of the limits that are the visitor's own")
	}
}

// TestBrowserTokenLimitHeaders: a page learns only about the limits of its user. The key's limits are for all users
// together, and nobody can ask about them with a token.
func TestBrowserTokenLimitHeaders(t *testing.T) {
	t.Parallel()
	g, secrets := browserGate(t, nil, func(o *proxy.Options) {
		withKeys(t, strings.Replace(browserFile, "    secret: "+secretWeb+"\n", "    secret: "+secretWeb+"\n    limits: {requests: 4/1h}\n", 1))(o)
	})
	user := func(name string) string {
		return browserToken(t, secrets, func(tok *token.Token) { tok.User = name })
	}
	for n, step := range []struct{ user, code, tells string }{
		{"42", "", ""},
		{"42", "", ""},
		{"42", "", "user"}, // nothing is left for the user
		{"42", "rate_limited", "user"},
		{"43", "", ""}, // nothing is left for the key
		{"43", "rate_limited", ""},
	} {
		res := g.predict(t, botA, user(step.user), "Origin: "+pageOrigin)
		policy, left := res.header.Get("RateLimit-Policy"), res.header.Get("RateLimit")
		if res.problem.Code != step.code || strings.Contains(policy+left, "key ") || step.tells != "" && !strings.Contains(policy, step.tells+" ") {
			t.Errorf("request %d = %d %q with limits %q and %q, want %q and of limits %q", n+1, res.status, res.problem.Code, policy, left, step.code, step.tells)
		}
	}
	if res := g.predict(t, botA, secretWeb); !strings.Contains(res.header.Get("RateLimit-Policy"), `"key requests: 4/1h"`) {
		t.Errorf("with the key = %d %v, want its limit", res.status, res.header)
	}
}

// TestBrowserTokenMessages: a token sends as many messages as it may. After that, its client is told not to retry.
func TestBrowserTokenMessages(t *testing.T) {
	t.Parallel()
	g, secrets := browserGate(t, nil, nil)
	text := browserToken(t, secrets, func(tok *token.Token) { tok.Key, tok.Messages = "free", 3 })
	for n := range 5 {
		res := g.predict(t, botA, text, "Origin: "+pageOrigin)
		if n < 3 {
			if res.status != 200 {
				t.Errorf("message %d = %d %s, want 200", n+1, res.status, res.body)
			}
			continue
		}
		checkProblem(t, res, 429, problem.QuotaExceeded)
		if res.header.Get("X-Should-Retry") != "false" || res.header.Get("Retry-After") == "" {
			t.Errorf("message %d: header %v, want no other try", n+1, res.header)
		}
	}
	if _, _, n := g.upstream.last(); n != 3 {
		t.Errorf("messages that reached the upstream = %d, want 3", n)
	}
}

// TestBrowserTokenCounted: metrics and log name the key, and the user only by a hash.
func TestBrowserTokenCounted(t *testing.T) {
	t.Parallel()
	g, secrets := browserGate(t, nil, nil)
	text := browserToken(t, secrets, func(tok *token.Token) { tok.User = "jane@example.com" })
	g.predict(t, botA, text, "Origin: "+pageOrigin)
	g.predict(t, botB, text, "Origin: "+pageOrigin)
	g.predict(t, botA, browserToken(t, secrets, of("gone")), "Origin: "+pageOrigin)
	g.predict(t, botA, secretWeb)
	testkit.Eventually(t, "four log lines", func() bool { return strings.Count(g.log.String(), `"message":"request"`) == 4 })
	_, metrics := g.adminGet(t, "GET", "/metrics")
	for _, want := range []string{
		`flowlatch_browser_tokens_total{key="web",result="allowed"} 1`, `flowlatch_browser_tokens_total{key="web",result="refused"} 1`,
		`flowlatch_requests_total{chatflow="bot-a",code="200",key="web",route="prediction"} 2`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, "gone") || strings.Contains(metrics, "jane") || strings.Contains(g.log.String(), "jane") {
		t.Error("metrics or log have the user, or a key that is not there")
	}
	// printf 'web\0jane@example.com' | sha256sum | cut -c1-16
	if n := strings.Count(g.log.String(), `"key":"web","user":"38c0220c050df8a6"`); n != 2 {
		t.Errorf("log lines with the hash of the user = %d, want 2:\n%s", n, g.log.String())
	}
	if use := g.proxy.Stats().KeyUse("web"); use.Requests != 3 || use.LastUsed.IsZero() {
		t.Errorf("use of the key = %+v, want that of its tokens as well", use)
	}
}

// TestKeyFileMintsNothing: nothing in the key file can sign a token that the gate accepts.
func TestKeyFileMintsNothing(t *testing.T) {
	t.Parallel()
	g, _ := browserGate(t, nil, nil)
	digest := keystore.DigestOf(secretWeb)
	for name, secret := range map[string][]byte{
		"secret": []byte(secretWeb), "digest": digest[:], "digest in hexadecimal": []byte(digest.String()), "fingerprint": []byte(digest.Fingerprint()),
		"ID": []byte("web"), "nothing": {}, "key file": []byte(browserFile), "line": []byte("    secret: " + secretWeb),
		"hash": []byte(g.proxy.Options().Store.Snapshot().Hash()),
	} {
		res := g.predict(t, botA, signedBy(secret, goodHeader, goodClaims()), "Origin: "+pageOrigin)
		if res.status != 401 {
			t.Errorf("a token signed with the %s = %d, want 401", name, res.status)
		}
	}
	if res := g.predict(t, botA, signedBy(signingBytes, goodHeader, goodClaims()), "Origin: "+pageOrigin); res.status != 200 {
		t.Errorf("a token signed with the gate's secret = %d %s, want 200", res.status, res.body)
	}
}

// TestBrowserTokenFeedback: a comment on feedback belongs to the chatflow for which the gate saw the feedback created. If
// the gate did not see that, no token is for it.
func TestBrowserTokenFeedback(t *testing.T) {
	t.Parallel()
	const id = "11111111-2222-4333-8444-555555555555"
	g, secrets := browserGate(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"%s","chatflowid":"%s"}`, id, botA)
	}, withKeys(t, strings.Replace(browserFile, "requests: 3/1h", "requests: 100/1h", 1)))
	own := browserToken(t, secrets, nil)
	other := browserToken(t, secrets, func(tok *token.Token) { tok.Chatflows = []string{botB} })
	for n, step := range []struct{ method, path, body, token, want string }{
		{"PUT", "/" + id, `{"rating":"THUMBS_UP"}`, own, string(problem.KeyNotForChatflow)},
		{"POST", "/" + botA, `{"chatflowid":"` + botA + `"}`, other, string(problem.KeyNotForChatflow)},
		{"POST", "/" + botA, `{"chatflowid":"` + botA + `"}`, own, ""},
		{"PUT", "/" + id, `{"content":"good"}`, own, ""},
		{"PUT", "/" + id, `{"content":"good"}`, other, string(problem.KeyNotForChatflow)},
	} {
		res := g.request(t, step.method, "/api/v1/feedback"+step.path, step.body, bearerOf(step.token), "Origin: "+pageOrigin, jsonType)
		if res.problem.Code != step.want {
			t.Errorf("request %d = %d %s, want %q", n+1, res.status, res.body, step.want)
		}
	}
}
