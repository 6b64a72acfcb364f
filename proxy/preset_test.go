package proxy_test

import (
	"fmt"
	"net/http"
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
	deep := strings.Repeat("/x", 6)
	for _, tt := range []struct {
		name, request, key string
		code               problem.Code // empty: it passes
		target             string       // at the runner; empty means as it was sent
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
		{"HEAD", "HEAD /webhook/orders", secretA, problem.MethodNotAllowed, ""},
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
			a := g.request(t, method, target, "", headers...)
			r, _, n := g.runner.last()
			switch {
			case tt.code == "" && (a.status != 200 || n != 1):
				t.Errorf("answer = %d %s, %d requests reached the runner; want 200, 1", a.status, a.body, n)
			case tt.code == "" && (r.RequestURI != target || r.Method != method || r.Header.Get("Authorization") != ""):
				t.Errorf("at the runner: %s %s, Authorization %q; want as it was sent, and none", r.Method, r.RequestURI, r.Header.Get("Authorization"))
			case tt.code != "" && (method != "HEAD" && a.problem.Code != string(tt.code) || a.status < 400 || n != 0):
				t.Errorf("answer = %d %s, %d requests reached the runner; want %s, none", a.status, a.body, n, tt.code)
			}
		})
	}
}

// TestN8nOwnRoute has a route of the operator's, which comes before the preset's because it says more.
func TestN8nOwnRoute(t *testing.T) {
	g := n8nGate(t, func(o *proxy.Options) {
		own := &route.Route{Group: "webhook", Methods: []string{"POST"}, Path: "/webhook/user/{chatflow}", IsID: func(s string) bool { return s != "" }}
		o.Routes = slices.Concat(o.Preset.Routes, []*route.Route{own})
	})
	for target, status := range map[string]int{"/webhook/user/profile": 200, "/webhook/user/orders": 200, "/webhook/user/refunds": 403, "/webhook/other/profile": 400, "/webhook/user": 403} {
		if a := g.request(t, "POST", target, "", bearerOf(secretA)); a.status != status {
			t.Errorf("POST %s = %d %s, want %d", target, a.status, a.body, status)
		}
	}
}

// preflight headers.
var preflightOf = []string{"Origin: https://site.example", "Access-Control-Request-Method: POST"}

// TestN8nPreflight checks that a preflight tells nobody which webhooks there are.
func TestN8nPreflight(t *testing.T) {
	g := n8nGate(t, nil)
	if a := g.request(t, "OPTIONS", "/webhook/orders", "", preflightOf...); a.status != 405 {
		t.Errorf("preflight = %d %s, want 405", a.status, a.body)
	}
	g = n8nGate(t, func(o *proxy.Options) { o.CORSOrigins = []string{"https://site.example"} })
	if a := g.request(t, "OPTIONS", "/webhook/nosuch", "", preflightOf...); a.status != 204 || a.header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("preflight with --cors-origins = %d %v, want 204 that allows the origin", a.status, a.header)
	}
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want none", n)
	}
}

// respellings are a path in all spellings in which some server takes it for the same, and none that is
// itself: each letter in the other case, each byte encoded once and twice, each slash doubled, encoded
// and turned round, dot segments and parameters at each, and something at the end.
func respellings(path string) (list []string) {
	for i := range len(path) {
		c, before, after := path[i], path[:i], path[i+1:]
		list = append(list, fmt.Sprintf("%s%%%02x%s", before, c, after), fmt.Sprintf("%s%%%02X%s", before, c, after), fmt.Sprintf("%s%%25%02x%s", before, c, after), fmt.Sprintf("%s&#%d;%s", before, c, after))
		switch {
		case c == '/':
			for _, s := range []string{"//", "/./", "/x/../", "/x/%2e%2e/", "/../", "/;x/", "/%2e/", `\`, "/..;/", "/%00/", "/%20"} {
				if i > 0 || s != "/../" {
					list = append(list, before+s+after)
				}
			}
		case 'a' <= c && c <= 'z':
			list = append(list, before+string(c-32)+after)
		}
	}
	for _, s := range []string{"/", "//", "/.", "/..", "/../", "%2f", "%00", "%20", "%0a", ";", ";x=1", "#x", "%23", "%3f", "/x/..", ".", "~", `\`, "%5c", "<b>", "%3Cb%3E", " "} {
		list = append(list, path+s)
	}
	return list
}

// TestPresetSpellings sends each preset's call in all other spellings with the key that opens it. None may
// reach the runner.
func TestPresetSpellings(t *testing.T) {
	for _, tt := range []struct {
		preset *route.Preset
		keys   string
		paths  []string
		open   []string // traversals to what is closed
	}{
		{route.Flowise(), keyFile, []string{"/api/v1/prediction/" + botA}, []string{"/api/v1/prediction/" + botA + "/../../chatflows"}},
		{route.Langflow(), langflowKeys, []string{"/api/v1/run/" + botA, "/api/v1/run/support-bot", "/api/v1/run/advanced/" + botA, "/api/v1/webhook/support-bot"}, []string{
			"/api/v1/run/" + botA + "/../../flows/", "/api/v1/flows/", "/api/v1/flows/" + botA, "/api/v1/build/" + botA + "/flow", "/api/v1/build_public_tmp/" + botA + "/flow",
			"/api/v1/validate/code", "/api/v1/custom_component", "/api/v1/login", "/api/v1/auto_login", "/api/v1/api_key/", "/api/v1/variables/", "/api/v1/users/", "/api/v1/files/upload/" + botA,
			"/api/v1/run/session/" + botA, "/api/v1/responses", "/api/v2/workflows", "/api/v2/files", "/api/v1/mcp/sse", "/api/v1/process/" + botA, "/docs", "/openapi.json", "/",
		}},
		{route.N8n(), n8nKeys, []string{"/webhook/orders", "/webhook/" + botA}, []string{
			"/webhook/../webhook-test/orders", "/webhook/orders/../../rest/workflows", "/webhook/..%2fwebhook-test%2forders", "/webhook%2ftest/orders", "/webhook-test/orders",
			"/webhook-test/" + botA, "/webhook-waiting/1", "/form/" + botA, "/rest/login", "/rest/workflows", "/api/v1/workflows", "/", "/types/nodes.json", "/metrics",
		}},
	} {
		t.Run(tt.preset.Name, func(t *testing.T) {
			g := newGate(t, nil, func(o *proxy.Options) {
				withKeys(t, tt.keys)(o)
				o.Preset, o.Expose = tt.preset, nil
				for _, r := range tt.preset.Routes {
					o.Expose = append(o.Expose, r.Group)
				}
			})
			targets := tt.open
			for _, path := range tt.paths {
				if a := g.request(t, "POST", path, "", bearerOf(secretA)); a.status != 200 {
					t.Errorf("POST %s = %d %s, want 200: what follows would prove nothing", path, a.status, a.body)
				}
				targets = append(targets, respellings(path)...)
			}
			_, _, before := g.runner.last()
			for _, target := range targets {
				if slices.Contains(tt.paths, target) {
					t.Fatalf("%s is the path itself", target)
				}
				if a := g.request(t, "POST", target, "", bearerOf(secretA)); a.status < 400 || a.status >= 500 {
					t.Errorf("POST %s = %d %s, want a refusal", target, a.status, a.body)
				}
			}
			if _, _, n := g.runner.last(); n != before {
				t.Errorf("%d of %d requests reached the runner, want none", n-before, len(targets))
			}
		})
	}
}

// TestPresetHeaders checks which headers of a caller pass to which runner: what one of them obeys is
// another's business, and may carry what a webhook asks for.
func TestPresetHeaders(t *testing.T) {
	headers := []string{
		"X-LANGFLOW-GLOBAL-VAR-TOKEN", "x-langflow-global-var-token", "X-Langflow-Global-Var-A-B", "X_LANGFLOW_GLOBAL_VAR_TOKEN", "X-Langflow-Global-Var-A_B", "X-Langflow.Global.Var.A",
		"X-Api-Key", "x-api-key", "X_API_KEY", "X-N8N-API-KEY", "X-Request-From", "Flowise-Tool", "Cookie", "X-Custom",
	}
	for _, tt := range []struct {
		preset *route.Preset
		keys   string
		path   string
		pass   []string // in canonical form
	}{
		{route.Flowise(), keyFile, "/api/v1/prediction/" + botA, []string{"X-Api-Key", "X-Custom", "X-Langflow-Global-Var-A-B", "X-Langflow-Global-Var-Token", "X-N8n-Api-Key"}},
		{route.Langflow(), langflowKeys, "/api/v1/run/" + botA, []string{"Flowise-Tool", "X-Custom", "X-N8n-Api-Key", "X-Request-From"}},
		{route.N8n(), n8nKeys, "/webhook/orders", []string{"Flowise-Tool", "X-Api-Key", "X-Custom", "X-Langflow-Global-Var-A-B", "X-Langflow-Global-Var-Token", "X-Request-From"}},
	} {
		t.Run(tt.preset.Name, func(t *testing.T) {
			g := newGate(t, nil, func(o *proxy.Options) {
				withKeys(t, tt.keys)(o)
				o.Preset, o.Expose = tt.preset, nil
			})
			lines := []string{bearerOf(secretA), jsonType}
			for _, name := range headers {
				lines = append(lines, name+": value")
			}
			if a := g.request(t, "POST", tt.path, "{}", lines...); a.status != 200 {
				t.Fatalf("answer = %d %s, want 200", a.status, a.body)
			}
			r, _, _ := g.runner.last()
			var got []string
			for name := range r.Header {
				if !slices.Contains([]string{"Content-Type", "Content-Length", "X-Forwarded-For", "X-Request-Id"}, name) {
					got = append(got, name)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.pass) {
				t.Errorf("headers of the caller at the runner = %q, want %q", got, tt.pass)
			}
		})
	}
}

// TestPresets checks that the presets are whole: a gate can be made of each, and of nothing else.
func TestPresets(t *testing.T) {
	for _, p := range route.Presets() {
		if got, err := route.PresetNamed(p.Name); err != nil || got.Runner != p.Runner {
			t.Errorf("PresetNamed(%q) = %v, %v, want that of %s", p.Name, got, err, p.Runner)
		}
		if p.IDs == "" || http.CanonicalHeaderKey(p.CredentialHeader) != p.CredentialHeader {
			t.Errorf("preset %s: IDs %q, credential header %q", p.Name, p.IDs, p.CredentialHeader)
		}
		for _, name := range append(p.Headers, p.HeaderPrefixes...) {
			if http.CanonicalHeaderKey(name) != name {
				t.Errorf("preset %s: header %q is not in the form in which it is compared", p.Name, name)
			}
		}
		if err := route.ValidateExpose(p.Expose, p.Routes); err != nil {
			t.Errorf("preset %s: %v", p.Name, err)
		}
		if _, err := route.NewTable(p.Routes); err != nil {
			t.Errorf("preset %s: %v", p.Name, err)
		}
	}
	if _, err := route.PresetNamed(""); err == nil {
		t.Error("PresetNamed(\"\") = nil error, want one")
	}
}
