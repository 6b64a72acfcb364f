//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// tokenSite is what a site does whose visitors use a private chatflow: it has the page, gives those who are signed in a token,
// and forwards /chat/ to the gate.
type tokenSite struct {
	lab    *lab
	page   *widgetPage
	secret string // of the parent key, which the page never gets

	mu       sync.Mutex
	gate     *testkit.Gate
	chatflow string
	seconds  int    // how long a token lives
	signedIn bool   // the visitor
	token    string // the last one
	minted   int
	keys     string // key file in which the key is disabled
}

// startTokenSite starts the site and opens its page.
func (l *lab) startTokenSite(t *testing.T) *tokenSite {
	t.Helper()
	s := &tokenSite{lab: l, secret: "secret-of-the-site-0123456789"}
	l.secrets = append(l.secrets, s.secret)
	s.page = startPage(t, func(mux *http.ServeMux) {
		mux.HandleFunc("/chat/", s.forward)
		mux.HandleFunc("POST /chat-token", s.mint)
		mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, _ *http.Request) { s.revoke(t, w) })
	})
	return s
}

// forward forwards a request to the gate as nginx does by proxy_pass without a path.
func (s *tokenSite) forward(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	to, _ := url.Parse(s.gate.URL)
	s.mu.Unlock()
	(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }, FlushInterval: -1}).ServeHTTP(w, r)
}

// mint gives a visitor who is signed in a token.
func (s *tokenSite) mint(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.signedIn {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, _ := json.Marshal(map[string]any{"chatflow": s.chatflow, "origin": s.page.url, "user": "42", "ttl": s.seconds})
	req, _ := http.NewRequestWithContext(r.Context(), http.MethodPost, s.gate.URL+"/chat/-/token", bytes.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+s.secret)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	got, _ := io.ReadAll(res.Body)
	var minted struct{ Token string }
	if json.Unmarshal(got, &minted) != nil || res.StatusCode != http.StatusOK {
		http.Error(w, string(got), http.StatusBadGateway)
		return
	}
	s.token = minted.Token
	s.minted++
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(got)
}

// revoke disables the key, and responds once the open stream was cut.
func (s *tokenSite) revoke(t *testing.T, w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	testkit.ReplaceFile(t, s.gate.Keys, s.keys)
	cut := testkit.Poll(20*time.Second, func() bool {
		for _, line := range s.gate.Logged(t, "request") {
			if line["code"] == "key_revoked" {
				return true
			}
		}
		return false
	})
	if !cut {
		http.Error(w, "the stream was not cut", http.StatusInternalServerError)
	}
}

// serve starts a gate for the site with a key that has browser tokens.
func (s *tokenSite) serve(t *testing.T, flows map[string]string, flags ...string) {
	t.Helper()
	own := testkit.WriteFile(t, "flowise.key", s.lab.flows.key)
	chatflows := "chatflows:\n"
	for name, id := range flows {
		authorization := ""
		if name == "rag" && !s.lab.flowise.is2() {
			authorization = ", upstream_authorization: 'file:" + own + "'"
		}
		chatflows += fmt.Sprintf("  - {id: %s, name: %s, keys: [site]%s}\n", id, name, authorization)
	}
	key := "  - {id: site, secret: " + s.secret + ", browser: {origins: ['" + s.page.url + "'], cookie: true, allow: [uploads]}}\n"
	content := "version: 1\nkeys:\n" + key + chatflows
	keys := testkit.WriteFile(t, "keys.yaml", content)
	g := s.lab.serve(t, keys, append([]string{
		"--expose", "predict,widget,upsert", "--path-prefix", "/chat", "--public-url", s.page.url, "--failure-limit", "off", "--cut-streams-on-revoke",
	}, flags...)...)
	g.Keys = keys
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate, s.keys, s.signedIn, s.seconds = g, strings.Replace(content, "{id: site,", "{id: site, disabled: true,", 1), true, 600
}

// setVisitor says who sits before the browser, and what chatflow the next tokens are for.
func (s *tokenSite) setVisitor(signedIn bool, seconds int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signedIn, s.seconds = signedIn, seconds
}

// privateWidgets uses chatflows that have a key, with /-/widget.js: by token in onRequest, and by the cookie that a token was
// exchanged for.
func privateWidgets(t *testing.T, l *lab) {
	flows := l.widgetFlows(t)
	s := l.startTokenSite(t)
	byToken := map[string]string{"token": "/chat-token"}
	byCookie := map[string]string{"token": "/chat-token", "session": ""}
	for _, w := range widgetVersions {
		if only := os.Getenv("E2E_WIDGET"); only != "" && only != w.version {
			continue
		}
		for _, access := range []struct {
			name, column string
			script       map[string]string
		}{{"token", "key in `onRequest`", byToken}, {"cookie", "cookie", byCookie}} {
			t.Run(w.version+", "+access.name, func(t *testing.T) {
				s.serve(t, flows)
				run := scenario{Widget: w.version, Gate: s.page.url + "/chat", Script: access.script, Flows: flows}
				run.Features = l.tried(t, w.lacks, access.column, access.name == "cookie" || w.keyed)
				for _, r := range s.use(t, run) {
					t.Logf("%s: %s", r.Feature, r)
					want := l.expected(t, r.Feature, access.column)
					if r.Feature == "a question, streamed" && access.name == "token" && !w.keyed {
						want = "401"
					}
					if got := r.outcome(t); got != want {
						t.Errorf("%s: %s, want %s as docs/widget.md has it; %s\n%s", r.Feature, got, want, r, l.flowise.proc.tail(12))
					}
				}
			})
		}
	}
	for name, script := range map[string]map[string]string{"token": byToken, "cookie": byCookie} {
		t.Run("visitors, "+name, func(t *testing.T) {
			s.serve(t, flows)
			s.visitors(t, scenario{Widget: widgetVersions[0].version, Gate: s.page.url + "/chat", Script: script, Flows: flows})
		})
	}
}

// use has the page go through a scenario, one feature at a time, each with a token for its chatflow.
func (s *tokenSite) use(t *testing.T, run scenario) (results []result) {
	t.Helper()
	for _, feature := range run.Features {
		s.mu.Lock()
		s.chatflow = run.Flows[flowOf(feature)]
		s.mu.Unlock()
		one := run
		one.Features = []string{feature}
		results = append(results, s.page.use(t, one)...)
	}
	return results
}

// flowOf returns the name of the chatflow that a feature is tried with.
func flowOf(feature string) string {
	switch feature {
	case "a question, whole":
		return "whole"
	case "the lead form":
		return "leads"
	case "files for a RAG chatflow":
		return "rag"
	case "speaking a question", "speaking a response":
		return "speech"
	case "stopping a response":
		return "agent"
	}
	return "chat"
}

// visitors has visitors of all kinds: one who asks on when the token is renewed, one who is not signed in, a page of another
// origin, and one whose key is revoked in the middle of a response.
func (s *tokenSite) visitors(t *testing.T, run scenario) {
	t.Helper()
	one := func(feature string) result {
		t.Helper()
		run.Features = []string{feature}
		r := s.use(t, run)[0]
		t.Logf("%s: %s", feature, r)
		return r
	}
	s.setVisitor(true, 6)
	if r := one("asking on with another token"); r.Error != "" || !strings.Contains(r.Text, "again0") || s.minted < 3 {
		t.Errorf("a conversation longer than its token: %s, want responses throughout", r)
	}
	s.setVisitor(false, 600)
	if r := one("not signed in"); r.Text != "Please sign in to chat." {
		t.Errorf("a visitor who is not signed in: %s, want a sentence", r)
	}

	s.setVisitor(true, 600)
	other := http.NewServeMux()
	other.Handle("GET /", http.FileServer(http.Dir("testdata/widget")))
	other.HandleFunc("GET /target", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]string{"gate": s.page.url + "/chat", "flow": s.chatflow, "token": s.token})
	})
	elsewhere := httptest.NewServer(other)
	t.Cleanup(elsewhere.Close)
	run.Other = elsewhere.URL + "/other.html"
	before := s.lab.llm.asked("stolen1")
	r := one("from another origin")
	if r.Error != "" || strings.Contains(r.Text, "200") || r.Text == "" {
		t.Errorf("a page of another origin: %s, want it refused", r)
	}
	if n := s.lab.llm.asked("stolen1"); n != before {
		t.Errorf("the model was asked %d times by a page of another origin, want never", n-before)
	}
	refused := 0
	for _, line := range s.gate.Logged(t, "request") {
		if line["decision"] == "refuse" {
			refused++
		}
	}
	if refused < 5 {
		t.Errorf("refusals in the log = %d, want those of the other origin's page", refused)
	}

	run.Held = unique()
	release := s.lab.llm.hold(t, run.Held)
	defer release()
	if r := one("revoked"); r.Error != "" || r.Text != "The API key of this chat is not valid." {
		t.Errorf("a visitor whose key is revoked: %s, want the stream cut and a sentence", r)
	}
}
