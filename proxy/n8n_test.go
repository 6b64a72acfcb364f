package proxy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

const n8nKeys = `version: 1
keys:
  - {id: key-a, secret: ` + secretA + `}
  - {id: key-b, secret: ` + secretB + `}
  - {id: ops, secret: ` + secretOps + `}
chatflows:
  - {id: ` + botA + `, keys: [key-a]}
  - {id: orders, keys: [key-a]}
  - {id: ` + botB + `, keys: [key-b]}
  - {id: user, keys: [key-b]}
  - {id: profile, keys: [key-a]}
  - {id: open-hook, public: true}
  - {id: "*", keys: [ops]}
`

func n8nGate(t *testing.T, change func(*proxy.Options)) *gate {
	t.Helper()
	return newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, n8nKeys)(o)
		o.Preset, o.Expose = route.N8n(), nil
		if change != nil {
			change(o)
		}
	})
}

func TestN8n(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("/x", 6)
	for _, tt := range []struct {
		name, request, key string
		code               problem.Code // empty if it passes
		target             string       // at the upstream; empty if unchanged
	}{
		{"by ID", "POST /webhook/" + botA, secretA, "", ""},
		{"by path", "GET /webhook/orders", secretA, "", ""},
		{"every method", "PATCH /webhook/orders", secretA, "", ""},
		{"query", "GET /webhook/orders?a=1&b%5Bc%5D=%2F..&a", secretA, "", ""},
		{"below its ID", "GET /webhook/" + botA + "/user/42", secretA, "", ""},
		{"Chat Trigger", "POST /webhook/" + botA + "/chat", secretA, "", ""},
		{"as deep as it goes", "PUT /webhook/" + botA + deep, secretA, "", ""},
		{"public", "POST /webhook/open-hook", "", "", ""},
		{"any webhook", "POST /webhook/anything.at~all", secretOps, "", ""},

		{"no key", "POST /webhook/orders", "", problem.MissingKey, ""},
		{"no key, below", "POST /webhook/" + botA + "/x", "", problem.MissingKey, ""},
		{"wrong key", "POST /webhook/orders", "nobodys-secret-0123456789", problem.InvalidKey, ""},
		{"another's key", "POST /webhook/" + botB, secretA, problem.KeyNotForChatflow, ""},
		{"another's key, below", "POST /webhook/" + botB + "/" + botA, secretA, problem.KeyNotForChatflow, ""},
		{"a path that is not listed", "POST /webhook/refunds", secretA, problem.KeyNotForChatflow, ""},
		{"another case", "POST /webhook/Orders", secretA, problem.KeyNotForChatflow, ""},
		{"below a path", "POST /webhook/orders/1", secretOps, problem.BadChatflowID, ""},
		{"below a path that a UUID follows", "POST /webhook/orders/" + botA, secretOps, problem.BadChatflowID, ""},
		{"below an ID in upper case", "POST /webhook/" + strings.ToUpper(botA) + "/x", secretOps, problem.BadChatflowID, ""},
		{"deeper than it goes", "POST /webhook/" + botA + deep + "/x", secretOps, problem.NotExposed, ""},
		{"HEAD", "HEAD /webhook/orders", secretA, "", ""},
		{"OPTIONS", "OPTIONS /webhook/orders", secretA, problem.MethodNotAllowed, ""},

		{"slash at the end", "POST /webhook/orders/", secretOps, problem.NotExposed, ""},
		{"test", "POST /webhook-test/orders", secretOps, problem.NotExposed, ""},
		{"test, below", "POST /webhook-test/" + botA + "/x", secretOps, problem.NotExposed, ""},
		{"waiting", "POST /webhook-waiting/1", secretOps, problem.NotExposed, ""},
		{"waiting, suffix", "POST /webhook-waiting/1/x", secretOps, problem.NotExposed, ""},
		{"form", "GET /form/" + botA, secretOps, problem.NotExposed, ""},
		{"form that waits", "GET /form-waiting/1", secretOps, problem.NotExposed, ""},
		{"MCP", "POST /mcp/" + botA, secretOps, problem.NotExposed, ""},
		{"user interface", "GET /", secretOps, problem.NotExposed, ""},
		{"inner API", "GET /rest/workflows", secretOps, problem.NotExposed, ""},
		{"API", "GET /api/v1/workflows", secretOps, problem.NotExposed, ""},
		{"health", "GET /healthz", secretOps, problem.NotExposed, ""},
		{"a prediction", "POST /api/v1/prediction/" + botA, secretOps, problem.NotExposed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := n8nGate(t, nil)
			method, target, _ := strings.Cut(tt.request, " ")
			var headers []string
			if tt.key != "" {
				headers = append(headers, bearerOf(tt.key))
			}
			res := g.request(t, method, target, "", headers...)
			r, _, n := g.upstream.last()
			switch {
			case tt.code == "" && (res.status != 200 || n != 1):
				t.Errorf("response = %d %s, %d requests reached the upstream; want 200, 1", res.status, res.body, n)
			case tt.code == "" && (r.RequestURI != target || r.Method != method || r.Header.Get("Authorization") != ""):
				t.Errorf("request at the upstream = %s %s, Authorization %q, want it as it was sent, and none", r.Method, r.RequestURI, r.Header.Get("Authorization"))
			case tt.code != "" && (method != "HEAD" && res.problem.Code != string(tt.code) || res.status < 400 || n != 0):
				t.Errorf("response = %d %s, %d requests reached the upstream; want %s, none", res.status, res.body, n, tt.code)
			}
		})
	}
}

// TestN8nOwnRoute adds a route of the operator's that is more specific than the preset's and therefore matches first.
func TestN8nOwnRoute(t *testing.T) {
	t.Parallel()
	g := n8nGate(t, func(o *proxy.Options) {
		own := &route.Route{Group: "webhook", Methods: []string{"POST"}, Path: "/webhook/user/{chatflow}", IsID: func(s string) bool { return s != "" }}
		o.Routes = slices.Concat(o.Preset.Routes, []*route.Route{own})
	})
	for target, status := range map[string]int{"/webhook/user/profile": 200, "/webhook/user/orders": 200, "/webhook/user/refunds": 403, "/webhook/other/profile": 400, "/webhook/user": 403} {
		if res := g.request(t, "POST", target, "", bearerOf(secretA)); res.status != status {
			t.Errorf("POST %s = %d %s, want %d", target, res.status, res.body, status)
		}
	}
}

// preflightHeaders make OPTIONS a preflight.
var preflightHeaders = []string{"Origin: https://site.example", "Access-Control-Request-Method: POST"}

// TestN8nPreflight: a preflight does not reveal which webhooks exist.
func TestN8nPreflight(t *testing.T) {
	t.Parallel()
	g := n8nGate(t, nil)
	if res := g.request(t, "OPTIONS", "/webhook/orders", "", preflightHeaders...); res.status != 405 {
		t.Errorf("preflight = %d %s, want 405", res.status, res.body)
	}
	g = n8nGate(t, func(o *proxy.Options) { o.CORSOrigins = []string{"https://site.example"} })
	if res := g.request(t, "OPTIONS", "/webhook/nosuch", "", preflightHeaders...); res.status != 204 || res.header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("preflight with --cors-origins = %d %v, want 204 that allows the origin", res.status, res.header)
	}
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("%d requests reached the upstream, want none", n)
	}
}
