package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// ask sends a request to the admin listener, with headers given as "Name: value" lines.
func (g *gate) ask(method, target, host string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Host = host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	g.admin.ServeHTTP(w, r)
	return w
}

func (g *gate) statusOf(t *testing.T, query string) (s admin.Status) {
	t.Helper()
	w := g.ask("GET", "/status"+query, "127.0.0.1:9901")
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 200 {
		t.Fatalf("status%s = %d, %v: %s", query, w.Code, err, w.Body)
	}
	return s
}

// TestPageFiles gets the page and what belongs to it, and nothing else that is like it.
func TestPageFiles(t *testing.T) {
	g := newGate(t, nil, nil)
	for _, test := range []struct {
		method, path string
		status       int
		mediaType    string
		has          string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", `<script src="status/page.js" defer>`},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"POST", "/", 405, "text/plain; charset=utf-8", ""},
		{"PUT", "/status/page.js", 405, "text/plain; charset=utf-8", ""},
		{"OPTIONS", "/", 405, "text/plain; charset=utf-8", ""},
		{"GET", "/status/page.js", 200, "text/javascript; charset=utf-8", "fetch('status?'"},
		{"GET", "/status/text.js", 200, "text/javascript; charset=utf-8", "textContent"},
		{"GET", "/status/page.css", 200, "text/css; charset=utf-8", "prefers-color-scheme"},
		{"GET", "/status/icon.svg", 200, "image/svg+xml", "<svg"},
		{"GET", "/status/index.html", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/page.js", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/index.html", 404, "text/plain; charset=utf-8", ""},
		{"POST", "/status", 405, "text/plain; charset=utf-8", ""},
		{"GET", "/status", 200, "application/json", `"version": "test"`},
		{"GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "flowlatch_streams_active"},
	} {
		w := g.ask(test.method, test.path, "localhost:9901")
		if w.Code != test.status || w.Header().Get("Content-Type") != test.mediaType || !strings.Contains(w.Body.String(), test.has) {
			t.Errorf("%s %s = %d %q, want %d %q with %q", test.method, test.path, w.Code, w.Header().Get("Content-Type"), test.status, test.mediaType, test.has)
		}
		if w.Code == 405 && !strings.Contains(w.Header().Get("Allow"), "GET") {
			t.Errorf("%s %s allows %q, want GET", test.method, test.path, w.Header().Get("Allow"))
		}
		want := map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
				"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "",
		}
		got := map[string]string{}
		for name := range want {
			got[name] = w.Header().Get(name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("headers of %s %s (-want +got):\n%s", test.method, test.path, diff)
		}
	}
}

// TestPageStandsAlone reads the page for what would break its policy or come from elsewhere.
func TestPageStandsAlone(t *testing.T) {
	g := newGate(t, nil, nil)
	script := []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "http:", "https:", "DOMParser", "srcdoc", ".style", ".href", "createContextualFragment"}
	for path, never := range map[string][]string{
		"/":                {"http:", "https:", "//", "<style", "style=", " onclick", " onload", " onerror", "<script>"},
		"/status/page.css": {"http:", "https:", "url(", "@import"},
		"/status/page.js":  script, "/status/text.js": script,
	} {
		body := g.ask("GET", path, "localhost").Body.String()
		for _, s := range never {
			if strings.Contains(body, s) {
				t.Errorf("%s has %q in it", path, s)
			}
		}
	}
}

// TestAdminFromBrowser has pages of others try to read the admin listener or give it orders. Programs are not
// concerned, whatever name they use.
func TestAdminFromBrowser(t *testing.T) {
	g := newGate(t, nil, nil)
	chrome := []string{"User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept-Language: en"}
	with := func(headers ...string) []string { return append(slices.Clone(chrome), headers...) }
	for _, test := range []struct {
		name, method, path, host string
		headers                  []string
		want                     int
	}{
		{"by address", "GET", "/", "127.0.0.1:9901", with("Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"), 200},
		{"by IPv6 address", "GET", "/", "[::1]:9901", chrome, 200},
		{"by IPv6 address without a port", "GET", "/", "[::1]", chrome, 200},
		{"by an IPv4 address in IPv6", "GET", "/", "[::ffff:127.0.0.1]", chrome, 200},
		{"by the address of a pod", "GET", "/status", "10.1.2.3:9901", chrome, 200},
		{"by localhost", "GET", "/status", "localhost:9901", with("Sec-Fetch-Site: same-origin"), 200},
		{"by a name of compose", "GET", "/status", "flowlatch:9901", chrome, 200},
		{"by a name of Kubernetes", "GET", "/status", "flowlatch.default.svc.cluster.local:9901", chrome, 200},
		{"by a name of Kubernetes with a dot", "GET", "/status", "FLOWLATCH.default.svc.:9901", chrome, 200},
		{"rebinding, the page", "GET", "/", "evil.example:9901", chrome, 421},
		{"rebinding, the status", "GET", "/status", "evil.example:9901", with("Sec-Fetch-Site: same-origin"), 421},
		{"rebinding, metrics", "GET", "/metrics", "evil.example:9901", chrome, 421},
		{"rebinding, an order", "POST", "/-/reload", "evil.example:9901", with("Origin: http://evil.example:9901"), 421},
		{"rebinding, an address in the name", "GET", "/status", "127.0.0.1.nip.example:9901", chrome, 421},
		{"rebinding, localhost in the name", "GET", "/status", "localhost.evil.example", chrome, 421},
		{"rebinding, svc in the name", "GET", "/status", "svc.evil.example", chrome, 421},
		{"rebinding, no user agent of its own", "GET", "/status", "evil.example", []string{"User-Agent: curl/8", "Accept-Language: "}, 421},
		{"rebinding, no host", "GET", "/status", "", chrome, 421},
		{"another site reads", "GET", "/status", "localhost:9901", with("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), 403},
		{"another port reads", "GET", "/status", "localhost:9901", with("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Origin: http://localhost:3000"), 403},
		{"another site has it as a script", "GET", "/status/page.js", "localhost:9901", with("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), 403},
		{"a link of another site leads here", "GET", "/", "localhost:9901", with("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"), 200},
		{"a form of another site gives an order", "POST", "/-/reload", "localhost:9901", with("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Origin: http://evil.example"), 403},
		{"a form of an old browser gives an order", "POST", "/-/reload", "localhost:9901", with("Origin: http://evil.example"), 403},
		{"Prometheus by the address of a pod", "GET", "/metrics", "10.1.2.3:9901", []string{"User-Agent: Prometheus/3.0.0", "Accept-Encoding: gzip"}, 200},
		{"Prometheus by a public name", "GET", "/metrics", "gate.example.com:9901", []string{"User-Agent: Prometheus/3.0.0"}, 200},
		{"the kubelet", "GET", "/readyz", "10.1.2.3:9901", []string{"User-Agent: kube-probe/1.34"}, 200},
		{"the kubelet with a host of its own", "GET", "/livez", "gate.example.com", []string{"User-Agent: kube-probe/1.34"}, 200},
		{"curl by a public name", "POST", "/-/reload", "gate.example.com:9901", []string{"User-Agent: curl/8.5.0"}, 200},
	} {
		w := g.ask(test.method, test.path, test.host, test.headers...)
		if w.Code != test.want {
			t.Errorf("%s: %s %s of %q = %d, want %d", test.name, test.method, test.path, test.host, w.Code, test.want)
		}
		if w.Code != 200 && strings.Contains(w.Body.String(), "key-a") {
			t.Errorf("%s: the refusal shows a key ID", test.name)
		}
	}
}

// TestStatusCounts counts by chatflow, with words of the key file alone.
func TestStatusCounts(t *testing.T) {
	release := make(chan struct{})
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch string(body) {
		case `"stream"`:
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			<-release
		case `"fail"`:
			w.WriteHeader(500)
		}
	}, nil)
	predict := "/api/v1/prediction/"
	g.request(t, "POST", predict+botA, "{}", bearerOf(secretA), jsonType)
	g.request(t, "POST", predict+botA, `"fail"`, bearerOf(secretA), jsonType)
	g.request(t, "POST", predict+botA, "{}", jsonType)
	g.request(t, "POST", predict+botA, "{}", bearerOf(secretB), jsonType)
	g.request(t, "POST", predict+unlisted, "{}", bearerOf(secretOps), jsonType)
	g.request(t, "GET", "/api/v1/chatflows/attackers-words", "")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.request(t, "POST", predict+botB, `"stream"`, bearerOf(secretB), jsonType)
	}()

	of := func(id string) admin.CountStatus {
		for _, c := range g.statusOf(t, "").Chatflows {
			if c.ID == id {
				return c.CountStatus
			}
		}
		return admin.CountStatus{}
	}
	eventually(t, "the stream and the last count", func() bool { return of(botB).Streams == 1 && g.statusOf(t, "").Totals.Requests == 6 })
	check := func(name string, got admin.CountStatus, want admin.CountStatus) {
		t.Helper()
		if called := want.Requests > 0 || want.Streams > 0; (got.LastCall != nil) != called {
			t.Errorf("%s: last call = %v, want one: %t", name, got.LastCall, called)
		}
		if (got.LastRefused != nil) != (want.Refused != nil) {
			t.Errorf("%s: last refusal = %v, want one: %t", name, got.LastRefused, want.Refused != nil)
		}
		got.LastCall, got.LastRefused = nil, nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	check("bot-a", of(botA), admin.CountStatus{Requests: 4, Failed: 1, Refused: map[problem.Code]uint64{"missing_key": 1, "key_not_for_chatflow": 1}})
	check("bot-b", of(botB), admin.CountStatus{Streams: 1})
	check("*", of("*"), admin.CountStatus{Requests: 1})
	check("not called", of(botKeyed), admin.CountStatus{})
	check("unlisted", g.statusOf(t, "").Unlisted, admin.CountStatus{Requests: 1, Refused: map[problem.Code]uint64{"not_exposed": 1}})
	all := map[problem.Code]uint64{"missing_key": 1, "key_not_for_chatflow": 1, "not_exposed": 1}
	check("all", g.statusOf(t, "").Totals, admin.CountStatus{Requests: 6, Failed: 1, Streams: 1, Refused: all})
	if r := g.statusOf(t, "").Recent; r.Requests != 6 || !cmp.Equal(r.Refused, all) {
		t.Errorf("recent = %+v, want all that was", r)
	}

	// Reloads: a chatflow that stays keeps its counts, one that is taken out is gone, but while a stream of it
	// is open the stream is not forgotten, and one that is new begins at none.
	file := strings.Replace(keyFile, "  - {id: "+botB+", keys: [key-b]}\n", "", 1) + "  - {id: " + botPublic + ", public: true}\n"
	reload := func(content string) {
		t.Helper()
		if err := os.WriteFile(g.keys, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if w := g.ask("POST", "/-/reload", "localhost"); w.Code != 200 {
			t.Fatalf("reload = %d %s", w.Code, w.Body)
		}
	}
	reload(file)
	g.request(t, "POST", predict+botPublic, "{}", jsonType)
	eventually(t, "a count of a chatflow that is new", func() bool { return of(botPublic).Requests == 1 })
	if got := of(botA).Requests; got != 4 {
		t.Errorf("requests of bot-a after a reload = %d, want 4", got)
	}
	if got := g.statusOf(t, "").Totals.Streams; got != 1 {
		t.Errorf("streams after a reload = %d, want 1", got)
	}
	reload(keyFile)
	if got := of(botB).Streams; got != 1 {
		t.Errorf("streams of a chatflow that came back = %d, want 1", got)
	}
	close(release)
	<-ended
	eventually(t, "the end of the stream", func() bool {
		return of(botB).Streams == 0 && of(botB).Requests == 1 && g.statusOf(t, "").Totals.Streams == 0
	})
	if body := g.ask("GET", "/status", "localhost").Body.String(); strings.Contains(body, "attackers-words") || strings.Contains(body, unlisted) {
		t.Error("the status has a caller's words in it")
	}
}
