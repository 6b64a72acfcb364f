package proxy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// respellings returns the other forms of a path that some server treats as the same: each letter in the other case, each
// byte encoded once and twice, each slash doubled, encoded and turned into a backslash, dot segments and parameters at
// each slash, and something appended.
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

// TestPresetSpellings sends each preset's request in all other forms, with a key that opens its chatflow. None may reach
// the upstream.
func TestPresetSpellings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		preset *route.Preset
		keys   string
		paths  []string
		open   []string // traversals to closed paths
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
				if res := g.request(t, "POST", path, "", bearerOf(secretA)); res.status != 200 {
					t.Errorf("POST %s = %d %s, want 200, or the rest proves nothing", path, res.status, res.body)
				}
				targets = append(targets, respellings(path)...)
			}
			_, _, before := g.upstream.last()
			for _, target := range targets {
				if slices.Contains(tt.paths, target) {
					t.Fatalf("%s is the path itself", target)
				}
				if res := g.request(t, "POST", target, "", bearerOf(secretA)); res.status < 400 || res.status >= 500 {
					t.Errorf("POST %s = %d %s, want a refusal", target, res.status, res.body)
				}
			}
			if _, _, n := g.upstream.last(); n != before {
				t.Errorf("%d of %d requests reached the upstream, want none", n-before, len(targets))
			}
		})
	}
}

// TestPresetHeaders sends the headers that some upstream obeys. Each preset drops only its own, because a webhook of
// another upstream may need them.
func TestPresetHeaders(t *testing.T) {
	t.Parallel()
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
			if res := g.request(t, "POST", tt.path, "{}", lines...); res.status != 200 {
				t.Fatalf("response = %d %s, want 200", res.status, res.body)
			}
			r, _, _ := g.upstream.last()
			var got []string
			for name := range r.Header {
				if !slices.Contains([]string{"Content-Type", "Content-Length", "X-Forwarded-For", "X-Request-Id"}, name) {
					got = append(got, name)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.pass) {
				t.Errorf("headers of the client at the upstream = %q, want %q", got, tt.pass)
			}
		})
	}
}
