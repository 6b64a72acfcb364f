package proxy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestRefusals tries every way to be refused. Nothing of a refused request may reach the upstream, not even a connection.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const (
		plain        = `Bearer realm="flowlatch"`
		invalid      = plain + `, error="invalid_token"`
		insufficient = plain + `, error="insufficient_scope"`
		badHeader    = plain + `, error="invalid_request"`
	)
	predict := "/api/v1/prediction/"
	question := `{"question":"hi"}`
	tests := []struct {
		name, method, target, body string
		headers                    []string
		status                     int
		code                       problem.Code
		challenge                  string
	}{
		{"encoded path", "POST", "/api/v1/%70rediction/" + botA, question, []string{bearerOf(secretA)}, 400, problem.NotCanonical, ""},
		{"upper-case ID", "POST", predict + strings.ToUpper(botA), question, []string{bearerOf(secretA)}, 400, problem.BadChatflowID, ""},
		{"no UUID", "POST", predict + "__proto__", question, nil, 400, problem.BadChatflowID, ""},
		{"two credentials", "POST", predict + botA, question, []string{bearerOf(secretA), bearerOf(secretA)}, 400, problem.BadRequest, badHeader},
		{"no key", "POST", predict + botA, question, nil, 401, problem.MissingKey, plain},
		{"no key, unlisted", "POST", predict + unlisted, question, nil, 401, problem.MissingKey, plain},
		{"another scheme", "POST", predict + botA, question, []string{"Authorization: Basic YTpi"}, 401, problem.MissingKey, plain},
		{"unknown key", "POST", predict + botA, question, []string{bearerOf("not-a-key-0123456789")}, 401, problem.InvalidKey, invalid},
		{"unknown key, unlisted", "POST", predict + unlisted, question, []string{bearerOf("not-a-key-0123456789")}, 401, problem.InvalidKey, invalid},
		{"expired key", "POST", predict + botA, question, []string{bearerOf(secretExpired)}, 401, problem.InvalidKey, invalid},
		{"disabled key", "POST", predict + botA, question, []string{bearerOf(secretDisabled)}, 401, problem.InvalidKey, invalid},
		{"key not valid yet", "POST", predict + botA, question, []string{bearerOf(secretFuture)}, 401, problem.InvalidKey, invalid},
		{"malformed key", "POST", predict + botA, question, []string{"Authorization: Bearer a b"}, 401, problem.InvalidKey, invalid},
		{"empty key", "POST", predict + botA, question, []string{"Authorization: Bearer "}, 401, problem.InvalidKey, invalid},
		{"key for another chatflow", "POST", predict + botB, question, []string{bearerOf(secretA)}, 403, problem.KeyNotForChatflow, insufficient},
		{"key for another chatflow, unlisted", "POST", predict + unlisted, question, []string{bearerOf(secretA)}, 403, problem.KeyNotForChatflow, insufficient},
		{"no such route", "GET", "/api/v1/chatflows", "", []string{bearerOf(secretOps)}, 404, problem.NotExposed, ""},
		{"trailing slash", "POST", predict + botA + "/", question, []string{bearerOf(secretA)}, 404, problem.NotExposed, ""},
		{"root", "GET", "/", "", nil, 404, problem.NotExposed, ""},
		{"wrong method", "GET", predict + botA, "", []string{bearerOf(secretA)}, 405, problem.MethodNotAllowed, ""},
		{"OPTIONS that is no preflight", "OPTIONS", predict + botA, "", nil, 405, problem.MethodNotAllowed, ""},
		{"TRACE", "TRACE", predict + botA, "", []string{bearerOf(secretA)}, 405, problem.MethodNotAllowed, ""},
		{"OPTIONS *", "OPTIONS", "*", "", nil, 400, problem.NotCanonical, ""},
		{"absolute target of another scheme", "POST", "https://gate" + predict + botA, question, []string{bearerOf(secretA)}, 400, problem.NotCanonical, ""},
		{"body too large", "POST", predict + botA, strings.Repeat("x", 2000), []string{bearerOf(secretA)}, 413, problem.BodyTooLarge, ""},
		{"preflight to switch protocols", "OPTIONS", "/api/v1/chatflows-uploads/" + botA, "", []string{"Origin: x", "Access-Control-Request-Method: GET", "Upgrade: websocket"}, 400, problem.BadRequest, ""},
		{"preflight with a body", "OPTIONS", predict + botA, "x", []string{"Origin: x", "Access-Control-Request-Method: POST"}, 400, problem.BadRequest, ""},
		{"OPTIONS without Origin", "OPTIONS", predict + botA, "", []string{"Access-Control-Request-Method: POST"}, 405, problem.MethodNotAllowed, ""},
		{"body on a public route", "GET", "/api/v1/ping", "x", nil, 400, problem.BadRequest, ""},
		{"body on discovery", "GET", "/api/v1/chatflows-streaming/" + botA, "x", nil, 400, problem.BadRequest, ""},
		{"websocket", "GET", "/api/v1/chatflows-uploads/" + botA, "", []string{bearerOf(secretA), "Upgrade: websocket"}, 400, problem.BadRequest, ""},
	}
	g := newGate(t, nil, func(o *proxy.Options) { o.MaxBody = 1000 })
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, log := g.upstream.connections.Load(), len(g.log.String())
			res := g.request(t, tt.method, tt.target, tt.body, append(tt.headers, jsonType)...)
			checkProblem(t, res, tt.status, tt.code)
			if got := res.header.Get("Www-Authenticate"); got != tt.challenge {
				t.Errorf("WWW-Authenticate = %q, want %q", got, tt.challenge)
			}
			if got := g.upstream.connections.Load() - before; got != 0 {
				t.Errorf("the refused request opened %d connections to the upstream, want none", got)
			}
			line := func() string { return g.log.String()[log:] }
			testkit.Eventually(t, "log line", func() bool { return strings.Contains(line(), "\n") })
			if !strings.Contains(line(), `"request_id":"`+res.problem.RequestID+`"`) || !strings.Contains(line(), `"code":"`+string(tt.code)+`"`) {
				t.Errorf("log line = %s, want request ID %s and code %s", line(), res.problem.RequestID, tt.code)
			}
		})
	}
}

// TestUnauthorizedResponsesAreAlike: clients cannot tell unknown, expired, disabled and future keys apart, nor listed and
// unlisted chatflows.
func TestUnauthorizedResponsesAreAlike(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	normal := func(secret, id string) string {
		res := g.request(t, "POST", "/api/v1/prediction/"+id, "{}", bearerOf(secret), jsonType)
		res.header.Del("Date")
		res.header.Del("X-Request-Id")
		var b strings.Builder
		_ = res.header.Write(&b)
		return b.String() + strings.ReplaceAll(res.body, res.problem.RequestID, "ID")
	}
	want := normal("not-a-key-0123456789", botA)
	for _, secret := range []string{secretExpired, secretDisabled, secretFuture, "fl_0000000000000000000000000000000000000"} {
		for _, id := range []string{botA, unlisted} {
			if got := normal(secret, id); got != want {
				t.Errorf("response to %s for %s = %s, want %s", secret, id, got, want)
			}
		}
	}
	if got, want := normal(secretA, unlisted), normal(secretA, botB); got != want {
		t.Errorf("response for an unlisted chatflow = %s, for another's %s, want the same", got, want)
	}
}

func TestNewFindsAllFaults(t *testing.T) {
	t.Parallel()
	_, err := proxy.New(proxy.Options{
		Store: openStore(t, newGate(t, nil, nil).keys), Upstream: mustURL(t, "http://127.0.0.1:1"), Expose: []string{"predct"},
		Routes: []*route.Route{{Group: "run", Methods: []string{"get"}, Path: "/a/{chatflow}"}, {Group: "run", Methods: []string{"GET"}, Path: "/a//b"}},
	})
	for _, want := range []string{`group "predct"`, `method "get"`, `route "/a//b"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want it to name %s", err, want)
		}
	}
	routes := slices.Concat(route.Flowise().Routes, []*route.Route{{Group: "predict", Methods: []string{"*"}, Path: "/api/v1/prediction/{id}"}})
	_, err = proxy.New(proxy.Options{Store: openStore(t, newGate(t, nil, nil).keys), Upstream: mustURL(t, "http://127.0.0.1:1"), Routes: routes})
	if err == nil || !strings.Contains(err.Error(), "both claim POST") {
		t.Errorf("New with two routes for one path = %v, want an error", err)
	}
}
