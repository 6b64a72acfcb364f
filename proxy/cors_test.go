package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// corsOf returns the CORS headers of a response. The test fails if one is there twice.
func corsOf(t *testing.T, h http.Header) map[string]string {
	t.Helper()
	got := map[string]string{}
	for name, values := range h {
		if !strings.HasPrefix(name, "Access-Control-") {
			continue
		}
		if len(values) != 1 {
			t.Errorf("%s = %q, want it once: a browser takes no other", name, values)
		}
		got[name] = values[0]
	}
	return got
}

// corsUpstream responds with CORS headers of its own.
func corsUpstream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	w.Header().Set("Access-Control-Allow-Methods", "POST")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Link", "</x>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	w.WriteHeader(http.StatusOK)
}

// TestCORSByTheGate: with a list of origins, the CORS headers are the gate's and not the upstream's.
func TestCORSByTheGate(t *testing.T) {
	t.Parallel()
	const (
		page  = "Origin: https://www.example.com"
		other = "Origin: https://evil.example"
		ask   = "Access-Control-Request-Method: POST"
	)
	predict := "/api/v1/prediction/" + botA
	tests := map[string]struct {
		method, target string
		headers        []string
		status         int
		origin         string // allowed; empty for no CORS headers at all
		reached        int    // requests that reach the upstream
	}{
		"preflight":                         {"OPTIONS", predict, []string{page, ask, "Access-Control-Request-Headers: authorization,content-type"}, 204, "https://www.example.com", 0},
		"preflight from a subdomain":        {"OPTIONS", predict, []string{"Origin: https://a.example.org", ask}, 204, "https://a.example.org", 0},
		"preflight from elsewhere":          {"OPTIONS", predict, []string{other, ask}, 204, "", 0},
		"preflight from a look-alike":       {"OPTIONS", predict, []string{"Origin: https://www.example.com.evil.example", ask}, 204, "", 0},
		"preflight from the other scheme":   {"OPTIONS", predict, []string{"Origin: http://www.example.com", ask}, 204, "", 0},
		"preflight for an unlisted one":     {"OPTIONS", "/api/v1/prediction/" + unlisted, []string{page, ask}, 204, "https://www.example.com", 0},
		"preflight of what is not exposed":  {"OPTIONS", "/api/v1/chatflows", []string{page, ask}, 404, "", 0},
		"preflight for another method":      {"OPTIONS", predict, []string{page, "Access-Control-Request-Method: DELETE"}, 405, "", 0},
		"OPTIONS that is no preflight":      {"OPTIONS", predict, []string{page, bearerOf(secretA)}, 405, "", 0},
		"response":                          {"POST", predict, []string{page, bearerOf(secretA)}, 200, "https://www.example.com", 1},
		"response to a page from elsewhere": {"POST", predict, []string{other, bearerOf(secretA)}, 200, "", 1},
		"response to a program":             {"POST", predict, []string{bearerOf(secretA)}, 200, "", 1},
		"refusal":                           {"POST", predict, []string{page}, 401, "https://www.example.com", 0},
		"refusal for another chatflow":      {"POST", predict, []string{page, bearerOf(secretB)}, 403, "https://www.example.com", 0},
		"refusal of the path":               {"POST", predict + "%20", []string{page}, 400, "https://www.example.com", 0},
		"refusal of what is not exposed":    {"GET", "/api/v1/chatflows", []string{page}, 404, "https://www.example.com", 0},
		"refusal of a page from elsewhere":  {"POST", predict, []string{other}, 401, "", 0},
		"origin null, as sandboxed pages":   {"POST", predict, []string{"Origin: null", bearerOf(secretA)}, 200, "", 1},
		"two origins are not one":           {"POST", predict, []string{"Origin: https://www.example.com, https://evil.example", bearerOf(secretA)}, 200, "", 1},
		"origin in upper case is a browser": {"POST", predict, []string{"Origin: https://WWW.EXAMPLE.COM", bearerOf(secretA)}, 200, "https://WWW.EXAMPLE.COM", 1},
	}
	g := newGate(t, corsUpstream, func(o *proxy.Options) {
		o.CORSOrigins = []string{"https://www.example.com", "https://*.example.org"}
	})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, before := g.upstream.last()
			res := g.request(t, tt.method, tt.target, "", tt.headers...)
			got := corsOf(t, res.header)
			if _, _, n := g.upstream.last(); res.status != tt.status || got["Access-Control-Allow-Origin"] != tt.origin || n-before != tt.reached {
				t.Errorf("response = %d with %v, %d requests reached the upstream; want %d, origin %q, %d", res.status, got, n-before, tt.status, tt.origin, tt.reached)
			}
			if tt.origin == "" && len(got) != 0 {
				t.Errorf("headers = %v, want none of CORS", got)
			}
			if got["Access-Control-Allow-Credentials"] != "" {
				t.Error("the response allows credentials, which no client needs")
			}
			if tt.status < 400 || tt.method != "OPTIONS" {
				if !strings.Contains(strings.Join(res.header.Values("Vary"), ","), "Origin") {
					t.Errorf("Vary = %q, want Origin in it, or a cache gives one page another's response", res.header.Values("Vary"))
				}
			}
			if tt.method != "OPTIONS" && tt.origin != "" && !strings.Contains(strings.ToLower(got["Access-Control-Expose-Headers"]), "x-request-id") {
				t.Errorf("Access-Control-Expose-Headers = %q, want X-Request-Id in it", got["Access-Control-Expose-Headers"])
			}
		})
	}
	res := g.request(t, "OPTIONS", predict, "", page, ask, "Access-Control-Request-Headers: authorization,content-type")
	if got := corsOf(t, res.header); got["Access-Control-Allow-Methods"] != "POST" || got["Access-Control-Allow-Headers"] != "authorization,content-type" || got["Access-Control-Max-Age"] != "600" {
		t.Errorf("preflight = %v, want POST, the headers asked for, 600 s", got)
	}
}

// TestCORSByTheUpstream: without a list of origins, the upstream's CORS headers pass.
func TestCORSByTheUpstream(t *testing.T) {
	t.Parallel()
	g := newGate(t, corsUpstream, nil)
	predict := "/api/v1/prediction/" + botA
	res := g.request(t, "OPTIONS", predict, "", "Origin: https://evil.example", "Access-Control-Request-Method: POST")
	if got := corsOf(t, res.header); res.status != 204 || got["Access-Control-Allow-Origin"] != "*" || got["Access-Control-Allow-Methods"] != "POST" {
		t.Errorf("preflight = %d %v, want the upstream's 204", res.status, got)
	}
	res = g.request(t, "POST", predict, "", "Origin: https://evil.example")
	if got := corsOf(t, res.header); res.status != 401 || len(got) != 0 {
		t.Errorf("refusal = %d %v, want 401 and no CORS headers", res.status, got)
	}
}

// TestPreflightOfAnyMethod: an upstream whose route accepts every method may take OPTIONS for a call, as Flowise 3.1.4
// does with webhooks from unknown origins.
func TestPreflightOfAnyMethod(t *testing.T) {
	t.Parallel()
	preflight := []string{"Origin: https://page.example", "Access-Control-Request-Method: POST"}
	g := newGate(t, nil, nil)
	res := g.request(t, "OPTIONS", "/api/v1/webhook/"+botA, "", preflight...)
	checkProblem(t, res, 405, problem.MethodNotAllowed)
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("%d requests reached the upstream, want none", n)
	}
	own := newGate(t, nil, func(o *proxy.Options) { o.CORSOrigins = []string{"https://page.example"} })
	if res := own.request(t, "OPTIONS", "/api/v1/webhook/"+botA, "", preflight...); res.status != 204 {
		t.Errorf("preflight with --cors-origins = %d, want 204", res.status)
	}
}

// TestCORSExposesBoth: pages of the listed origins may read the headers that the gate names and those that the upstream
// names. Others may read none.
func TestCORSExposesBoth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, origin string
		upstream     []string // its Access-Control-Expose-Headers
		want         string   // after the gate's own
	}{
		{"one", "https://www.example.com", []string{"Mcp-Session-Id"}, ", Mcp-Session-Id"},
		{"several", "https://www.example.com", []string{"Mcp-Session-Id, X-A", "X-B"}, ", Mcp-Session-Id, X-A, X-B"},
		{"all", "https://www.example.com", []string{"*"}, ", *"},
		{"none", "https://www.example.com", nil, ""},
		{"page from elsewhere", "https://evil.example", []string{"Mcp-Session-Id"}, "none"},
		{"program", "", []string{"Mcp-Session-Id"}, "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Access-Control-Expose-Headers"] = tt.upstream
				w.Header().Set("Access-Control-Allow-Origin", "*")
			}, func(o *proxy.Options) { o.CORSOrigins = []string{"https://www.example.com"} })
			headers := []string{bearerOf(secretA)}
			if tt.origin != "" {
				headers = append(headers, "Origin: "+tt.origin)
			}
			got := corsOf(t, g.request(t, "POST", "/api/v1/mcp/"+botA, "", headers...).header)["Access-Control-Expose-Headers"]
			want := "X-Request-Id, Www-Authenticate, Retry-After, Ratelimit, Ratelimit-Policy, X-Should-Retry, Deprecation, Sunset" + tt.want
			if tt.want == "none" {
				want = ""
			}
			if got != want {
				t.Errorf("Access-Control-Expose-Headers = %q, want %q", got, want)
			}
		})
	}
}
