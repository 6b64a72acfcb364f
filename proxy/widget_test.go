package proxy_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestWidgetScript gets the script that starts the chat widget. Everybody may, and a browser that has it need not load it
// again.
func TestWidgetScript(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, func(o *proxy.Options) { o.PathPrefix = "/chat" })
	const path = "/chat/-/widget.js"
	got := g.request(t, http.MethodGet, path, "")
	h := got.header
	if got.status != http.StatusOK || h.Get("Content-Type") != "text/javascript; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Request-Id") == "" {
		t.Errorf("GET %s = %d %v, want JavaScript and nosniff", path, got.status, h)
	}
	if h.Get("Cache-Control") != "max-age=300" || len(h.Get("ETag")) < 10 || h.Get("Set-Cookie") != "" {
		t.Errorf("header = %v, want an entity tag and no cookie", h)
	}
	if n := len(got.body); n < 1000 || n >= 3000 {
		t.Errorf("the script has %d bytes, want less than 3 kB", n)
	}
	source, err := os.ReadFile("widget.js")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(source)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "//") && !strings.Contains(got.body, line) {
			t.Errorf("the script lacks the line %q of its source", line)
		}
	}
	if strings.Contains(got.body, "\n ") || strings.Contains(got.body, "\n//") || strings.Contains(got.body, "\n\n") {
		t.Errorf("the script has indentation, comments or empty lines:\n%s", got.body)
	}
	for _, tt := range []struct {
		method, target, header string
		status                 int
		code                   problem.Code
	}{
		{"HEAD", path, "", 200, ""},
		{"GET", path, "If-None-Match: " + h.Get("ETag"), 304, ""},
		{"GET", path, `If-None-Match: "other"`, 200, ""},
		{"GET", path, bearerOf(secretExpired), 200, ""},
		{"GET", path, "Authorization: Basic x", 200, ""},
		{"POST", path, bearerOf(secretA), 405, problem.MethodNotAllowed},
		{"OPTIONS", path, "", 405, problem.MethodNotAllowed},
		{"GET", "/-/widget.js", "", 404, problem.NotExposed},
		{"GET", "/chat/-/widget.js/", "", 404, problem.NotExposed},
		{"GET", path + "?ver=6.8.1", "", 200, ""},
		{"GET", path + "?", "", 200, ""},
		{"POST", path + "?x", "", 405, problem.MethodNotAllowed},
		{"GET", "/chat/-/key?ver=6.8.1", "", 404, problem.NotExposed},
		{"GET", "/chat/-/Widget.js", "", 404, problem.NotExposed},
		{"GET", "/chat/-/widget", "", 404, problem.NotExposed},
		{"GET", "/chat/-/", "", 404, problem.NotExposed},
		{"GET", "/chat/-/%77idget.js", "", 400, problem.NotCanonical},
	} {
		res := g.request(t, tt.method, tt.target, "", "X-Test: x", tt.header)
		if tt.header == "" {
			res = g.request(t, tt.method, tt.target, "")
		}
		if res.status != tt.status || res.problem.Code != string(tt.code) || res.status == 200 && tt.method == "GET" && res.body != got.body || res.status == 304 && res.body != "" {
			t.Errorf("%s %s with %q = %d %s, want %d %s", tt.method, tt.target, tt.header, res.status, res.body, tt.status, tt.code)
		}
	}
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("requests that reached the upstream = %d, want none", n)
	}
	if log := g.log.String(); !strings.Contains(log, `"route":"widget_js","decision":"allow","status":200`) {
		t.Errorf("log = %s, want the route widget_js", log)
	}
}
