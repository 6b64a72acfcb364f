package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

func (g *gate) adminGet(t *testing.T, method, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	g.admin.ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
	return w.Code, w.Body.String()
}

// TestMetrics counts requests by labels that are the operator's words, and makes no series from what
// callers send.
func TestMetrics(t *testing.T) {
	g := newGate(t, nil, nil)
	predict := "/api/v1/prediction/"
	for range 2 {
		g.request(t, "POST", predict+botA, "{}", bearerOf(secretA), jsonType)
	}
	g.request(t, "POST", predict+botB, "{}", bearerOf(secretA), jsonType)
	for i := range 20 {
		id := strings.Replace(unlisted, "ffffffff", "0000000"+string(rune('a'+i%6)), 1)
		g.request(t, "POST", predict+id, "{}", bearerOf("unknown-key-"+strings.Repeat("x", i+5)), jsonType)
		g.request(t, "M"+strings.Repeat("X", i), "/path-"+strings.Repeat("y", i), "")
	}
	var metrics string
	eventually(t, "the last count", func() bool {
		_, metrics = g.adminGet(t, "GET", "/metrics")
		return strings.Contains(metrics, `flowlatch_denied_total{code="not_exposed"} 20`)
	})
	for _, want := range []string{
		`flowlatch_requests_total{chatflow="bot-a",code="200",key="key-a",route="prediction"} 2`,
		`flowlatch_requests_total{chatflow="` + botB + `",code="403",key="key-a",route="prediction"} 1`,
		`flowlatch_requests_total{chatflow="*",code="401",key="",route="prediction"} 20`,
		`flowlatch_requests_total{chatflow="",code="404",key="",route=""} 20`,
		`flowlatch_denied_total{code="invalid_key"} 20`,
		`flowlatch_denied_total{code="key_not_for_chatflow"} 1`,
		`flowlatch_denied_total{code="draining"} 0`,
		`flowlatch_request_duration_seconds_count{route="prediction"} 23`,
		`flowlatch_streams_active 0`,
		`flowlatch_build_info{version="test"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "flowlatch_requests_total") && (strings.Contains(line, "xxx") || strings.Contains(line, "0000000")) {
			t.Errorf("a caller's words became a series: %s", line)
		}
	}
}

// TestExplain holds what is said of a request against what becomes of it.
func TestExplain(t *testing.T) {
	g := newGate(t, nil, func(o *proxy.Options) { o.Expose = []string{"predict", "widget"} })
	keys := openStore(t, g.keys).Snapshot()
	secrets := map[string]string{"": "", "key-a": secretA, "key-b": secretB, "ops": secretOps, "old": secretExpired}
	targets := [][3]string{
		{"POST", "/api/v1/prediction/" + botA},
		{"POST", "/api/v1/prediction/" + unlisted},
		{"GET", "/api/v1/chatflows-streaming/" + botA},
		{"POST", "/api/v1/vector/upsert/" + botA},
		{"GET", "/"},
		{"GET", "/api/v1/ping"},
		{"POST", "/api/v1/%70rediction/" + botA},
		{"PUT", "/api/v1/prediction/" + botA},
		{"GET", "/api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c&fileName=f"},
		{"POST", "/api/v1/leads", `{"chatflowid":"` + botA + `"}`},
		{"PUT", "/api/v1/feedback/x", `{}`},
	}
	for id, secret := range secrets {
		for _, r := range targets {
			e := g.proxy.Explain(r[0], r[1], []byte(r[2]), keys.Key(id))
			headers := []string{jsonType}
			if secret != "" {
				headers = append(headers, bearerOf(secret))
			}
			a := g.request(t, r[0], r[1], r[2], headers...)
			text := ""
			for _, l := range e.Lines {
				text += l[0] + ": " + l[1] + "\n"
			}
			if e.Allowed != (a.status == 200) || !e.Allowed && !strings.Contains(text, a.problem.Code) {
				t.Errorf("Explain(%s %s, key %q) =\n%s; the gate answers %d %s", r[0], r[1], id, text, a.status, a.problem.Code)
			}
		}
	}
	e := g.proxy.Explain("POST", "/api/v1/vector/upsert/"+botA, nil, keys.Key("key-a"))
	if last := e.Lines[len(e.Lines)-1]; !strings.Contains(last[1], "group upsert") {
		t.Errorf("the explanation ends with %q, want the group that would have to be exposed", last)
	}
}

func TestNewFindsAllFaults(t *testing.T) {
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
