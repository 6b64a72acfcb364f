package proxy_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// withPrefix starts a gate with a path prefix.
func withPrefix(t *testing.T, prefix string) *gate {
	t.Helper()
	return newGate(t, nil, func(o *proxy.Options) {
		o.PathPrefix, o.CORSOrigins = prefix, []string{"https://www.example.com"}
	})
}

// TestPrefix sends requests to a gate below /chat. Only the exact prefix passes, and only once; the upstream never sees
// it.
func TestPrefix(t *testing.T) {
	t.Parallel()
	const path = "/api/v1/prediction/" + botA
	g := withPrefix(t, "/chat")
	for _, tt := range []struct {
		method, target string
		code           problem.Code // empty if the upstream gets path
	}{
		{"POST", "/chat" + path, ""},
		{"POST", "http://gate/chat" + path, ""},
		{"POST", path, problem.NotExposed},
		{"POST", "http://gate" + path, problem.NotExposed},
		{"POST", "/chat", problem.NotExposed},
		{"POST", "/chat/", problem.NotExposed},
		{"POST", "/chat/chat" + path, problem.NotExposed},
		{"POST", "/x/chat" + path, problem.NotExposed},
		{"POST", "/api/chat/v1/prediction/" + botA, problem.NotExposed},
		{"POST", "/Chat" + path, problem.NotExposed},
		{"POST", "/CHAT" + path, problem.NotExposed},
		{"POST", "/chat-" + path, problem.NotExposed},
		{"POST", "/chatapi/v1/prediction/" + botA, problem.NotExposed},
		{"POST", "/chats" + path, problem.NotExposed},
		{"POST", "/cha" + path, problem.NotExposed},
		{"POST", "/chat.." + path, problem.NotExposed},
		{"POST", path + "/chat", problem.NotExposed},
		{"POST", path + "?/chat", problem.NotExposed},
		{"POST", "/x?/chat" + path, problem.NotExposed},
		{"POST", "/ch%61t" + path, problem.NotCanonical},
		{"POST", "/%63hat" + path, problem.NotCanonical},
		{"POST", "/chat%2f" + path, problem.NotCanonical},
		{"POST", "/chat%2fapi/v1/prediction/" + botA, problem.NotCanonical},
		{"POST", "/%2fchat" + path, problem.NotCanonical},
		{"POST", "//chat" + path, problem.NotCanonical},
		{"POST", "/chat/" + path, problem.NotCanonical},
		{"POST", "/chat/." + path, problem.NotCanonical},
		{"POST", "/chat/.." + path, problem.NotCanonical},
		{"POST", "/chat/../chat" + path, problem.NotCanonical},
		{"POST", "/./chat" + path, problem.NotCanonical},
		{"POST", "/chat;x" + path, problem.NotCanonical},
		{"POST", `/chat\` + path, problem.NotCanonical},
		{"POST", "/<x>chat" + path, problem.NotCanonical},
		{"POST", "/&#99;hat" + path, problem.NotCanonical},
		{"POST", "https://gate/chat" + path, problem.NotCanonical},
		{"POST", "http:/chat" + path, problem.NotCanonical},
		{"GET", "/chat" + path, problem.MethodNotAllowed},
		{"GET", "/-/key", problem.NotExposed},
		{"GET", "/chat/chat/-/key", problem.NotExposed},
		{"GET", "/Chat/-/key", problem.NotExposed},
		{"GET", "/chat//-/key", problem.NotCanonical},
		{"GET", "/chat/-//key", problem.NotCanonical},
		{"GET", "/ch%61t/-/key", problem.NotCanonical},
	} {
		_, _, before := g.upstream.last()
		res := g.request(t, tt.method, tt.target, "", bearerOf(secretA))
		r, _, n := g.upstream.last()
		switch {
		case tt.code != "" && (res.problem.Code != string(tt.code) || n != before):
			t.Errorf("%s %s = %d %s, %d requests at the upstream, want %s and none", tt.method, tt.target, res.status, res.body, n-before, tt.code)
		case tt.code == "" && (res.status != http.StatusOK || n != before+1 || r.RequestURI != path):
			t.Errorf("%s %s = %d %s, want the upstream to get %s", tt.method, tt.target, res.status, res.body, path)
		}
	}
	if res := g.request(t, "GET", "/chat/-/key", "", bearerOf(secretA)); res.status != http.StatusOK || !strings.Contains(res.body, `"key-a"`) {
		t.Errorf("GET /chat/-/key = %d %s, want what the key may do", res.status, res.body)
	}
	origin, method := "Origin: https://www.example.com", "Access-Control-Request-Method: POST"
	for target, want := range map[string]int{"/chat" + path: http.StatusNoContent, path: http.StatusNotFound} {
		if res := g.request(t, "OPTIONS", target, "", origin, method); res.status != want {
			t.Errorf("preflight of %s = %d, want %d", target, res.status, want)
		}
	}
	for _, want := range []string{`"route":"prediction"`, "the path is not below --path-prefix; it begins /api/v1/prediction"} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("log has no %s:\n%s", want, g.log)
		}
	}
	if _, metrics := g.adminGet(t, http.MethodGet, "/metrics"); !strings.Contains(metrics, `route="prediction"`) || strings.Contains(metrics, "/chat") {
		t.Errorf("metrics lack the route prediction, or have the prefix:\n%s", metrics)
	}
}

// TestBadTargetsWithPrefix: what is refused without a prefix is refused below one, with the same code.
func TestBadTargetsWithPrefix(t *testing.T) {
	t.Parallel()
	const prefix = "/z-9"
	g := withPrefix(t, prefix)
	sent := 0
	for _, tt := range badTargets {
		for _, target := range tt.targets {
			if !strings.HasPrefix(target, "/") {
				continue
			}
			sent++
			method := cmp.Or(tt.method, http.MethodPost)
			if fault := refusedTarget(g.request(t, method, prefix+target, "", bearerOf(secretOps)), tt.code, prefix+target); fault != "" {
				t.Errorf("%s: %s %.200q: %s", tt.class, method, prefix+target, fault)
			}
		}
	}
	if n := g.upstream.connections.Load(); n != 0 || sent < 150 {
		t.Errorf("%d targets sent, connections to the upstream = %d, want many and none", sent, n)
	}
}

// TestOverlappingPrefix: a prefix that is also the beginning of routes does not give them a second form.
func TestOverlappingPrefix(t *testing.T) {
	t.Parallel()
	g := withPrefix(t, "/api/v1")
	const path = "/api/v1/prediction/" + botA
	for target, want := range map[string]int{"/api/v1" + path: http.StatusOK, path: http.StatusNotFound} {
		if res := g.request(t, http.MethodPost, target, "", bearerOf(secretA)); res.status != want {
			t.Errorf("POST %s = %d %s, want %d", target, res.status, res.body, want)
		}
	}
}
