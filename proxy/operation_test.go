package proxy_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/problem"
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
		`flowlatch_keys_loaded 6`,
		`flowlatch_keys_generation 1`,
		`flowlatch_keys_reloads_total{result="success"} 1`,
		`flowlatch_keys_reloads_total{result="failure"} 0`,
		`flowlatch_keys_stale 0`,
		`flowlatch_key_expiry_timestamp_seconds{key="old"} 1.5778368e+09`,
		`flowlatch_build_info{version="test"} 1`,
		`flowlatch_upstream_up 1`,
		"flowlatch_keys_last_reload_success_timestamp_seconds 1.",
		`flowlatch_key_last_used_timestamp_seconds{key="key-a"} 1.`,
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
	if strings.Contains(metrics, `last_used_timestamp_seconds{key="old"}`) {
		t.Error("a key that was refused counts as used")
	}
}

func TestStatusAndReload(t *testing.T) {
	g := newGate(t, nil, nil)
	code, body := g.adminGet(t, "GET", "/status")
	var s admin.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != 200 {
		t.Fatalf("status = %d, %v: %s", code, err, body)
	}
	var ids []string
	for _, k := range s.Keys {
		ids = append(ids, k.ID+" "+k.Status)
	}
	want := []string{"key-a valid", "key-b valid", "ops valid", "old expired", "off disabled", "new not_yet_valid"}
	if !slices.Equal(ids, want) || s.Generation != 1 || len(s.Chatflows) != 4 || s.Version != "test" || s.LastReload.Result != "success" {
		t.Errorf("status = %+v, want keys %v, generation 1, 4 chatflows", s, want)
	}

	if code, _ := g.adminGet(t, "GET", "/-/reload"); code != 405 {
		t.Errorf("GET /-/reload = %d, want 405", code)
	}
	if code, body := g.adminGet(t, "POST", "/-/reload"); code != 200 || !strings.Contains(body, `"unchanged"`) {
		t.Errorf("reload of the same file = %d %s, want 200 unchanged", code, body)
	}
	w := httptest.NewRecorder()
	foreign := httptest.NewRequest("POST", "/-/reload", http.NoBody)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	if g.admin.ServeHTTP(w, foreign); w.Code != 403 {
		t.Errorf("reload by a page of another site = %d, want 403", w.Code)
	}
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(g.keys, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(keyFile + "  - {id: not/an/id, keys: [nobody]}\n")
	if code, body := g.adminGet(t, "POST", "/-/reload"); code != 422 || !strings.Contains(body, "keys.yaml:14: chatflow") || !strings.Contains(body, "nobody") {
		t.Errorf("reload of a bad file = %d %s, want 422 and both faults with their line", code, body)
	}
	if a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType); a.status != 200 {
		t.Errorf("with a bad file the old keys give %d, want 200", a.status)
	}
	if _, body := g.adminGet(t, "GET", "/metrics"); !strings.Contains(body, "flowlatch_keys_stale 1") {
		t.Error("flowlatch_keys_stale is not 1 with a bad file")
	}
	write(strings.Replace(keyFile, "{id: key-a,", "{id: key-a, disabled: true,", 1))
	if code, body := g.adminGet(t, "POST", "/-/reload"); code != 200 || !strings.Contains(body, `"generation": 2`) {
		t.Errorf("reload of a good file = %d %s, want 200 and generation 2", code, body)
	}
	a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
	checkProblem(t, a, 401, problem.InvalidKey)
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
