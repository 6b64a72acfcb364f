package console_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// TestAttacks sends forms as other sites, rebound names and old cookies would. Nothing may change.
func TestAttacks(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	b := g.browser(t)
	form := b.fill(t, "key?id=key-a", "id=key-a", "action=disable")
	for _, tt := range []struct {
		name    string
		headers []string
		host    string
		want    int
	}{
		{"another site", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, "", 403},
		{"another site, an old browser", []string{"Sec-Fetch-Site: ", "Origin: https://evil.example"}, "", 403},
		{"another port", []string{"Sec-Fetch-Site: same-site", "Origin: http://127.0.0.1:3000"}, "", 403},
		{"another port, an old browser", []string{"Sec-Fetch-Site: ", "Origin: http://127.0.0.1:3000"}, "", 403},
		{"a frame without an origin", []string{"Sec-Fetch-Site: ", "Origin: null"}, "", 403},
		{"a rebound name", []string{"Origin: http://evil.example:9901", "User-Agent: Mozilla/5.0"}, "evil.example:9901", 421},
		{"no session", []string{"Cookie: a=b"}, "", 403},
		{"a made-up session", []string{"Cookie: flowlatch-admin=AAAAAAAAAAAAAAAAAAAAAAAAAA"}, "", 403},
		{"the token in place of a session", []string{"Cookie: a=b", "Authorization: Bearer " + token}, "", 403},
	} {
		r := httptest.NewRequest("POST", "http://127.0.0.1:9901/console/key", strings.NewReader(form.Encode()))
		for _, h := range append([]string{b.cookie, "Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin"}, tt.headers...) {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		if tt.host != "" {
			r.Host = tt.host
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if w.Code != tt.want || strings.Contains(w.Body.String(), "key-a") {
			t.Errorf("%s = %d %s, want %d", tt.name, w.Code, w.Body, tt.want)
		}
	}
	if w := g.request("GET", "/console/key?id=key-a&action=disable&version="+form.Get("version"), "", b.cookie); w.Code != 200 {
		t.Errorf("a link that looks like a form = %d, want the page", w.Code)
	}
	if w := b.send("sign-out", nil); w.Code != 303 {
		t.Errorf("signing out = %d", w.Code)
	}
	w := b.send("key", form)
	if w.Code != 403 || !strings.Contains(w.Body.String(), "Your session has ended; nothing was changed") {
		t.Errorf("a form after signing out = %d %s, want 403", w.Code, w.Body)
	}
	if diff := cmp.Diff(keyFile, g.file(t)); diff != "" {
		t.Errorf("the key file has changed:\n%s", diff)
	}
}

// TestSignInPage signs in from where that is possible and from where it is not, with the right token and a wrong one,
// and with addresses to go to afterwards.
func TestSignInPage(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	signIn := func(host, token, to string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://"+host+"/console/sign-in", strings.NewReader(url.Values{"token": {token}, "to": {to}}.Encode()))
		for _, h := range append([]string{"Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin"}, headers...) {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	if w := signIn("127.0.0.1:9901", "wrong", ""); w.Code != 403 || w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Body.String(), "That is not the admin token") {
		t.Errorf("wrong token = %d %s, want 403", w.Code, w.Body)
	}
	if w := signIn("10.1.2.3:9901", token, ""); w.Code != 403 || w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Body.String(), "plain HTTP from another machine") {
		t.Errorf("over HTTP from another machine = %d %s, want 403", w.Code, w.Body)
	}
	if w := signIn("gate.internal", token, "", "Origin: https://gate.internal"); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Set-Cookie"), "__Host-flowlatch-admin=") {
		t.Errorf("over HTTPS = %d %v, want 303 and a __Host- cookie", w.Code, w.Header())
	}
	for to, want := range map[string]string{
		"key?id=a%26b": "/console/key?id=a%26b", "new-key?chatflow=x": "/console/new-key?chatflow=x", "": "/console/",
		"https://evil.example/": "/console/", "//evil.example/key": "/console/", `\\evil.example`: "/console/", "../-/reload": "/console/", "javascript:alert(1)": "/console/", "sign-out": "/console/", "key/../../x": "/console/",
	} {
		if w := signIn("127.0.0.1:9901", token, to); w.Code != 303 || w.Header().Get("Location") != want {
			t.Errorf("signing in with the place %q leads to %d %q, want %q", to, w.Code, w.Header().Get("Location"), want)
		}
	}
	w := g.request("GET", "/console/key?id=key-a", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `name="to" value="key?id=key-a"`) {
		t.Errorf("a page without a session = %d %s, want the form to sign in, and where to go then", w.Code, w.Body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "form-action 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy = %q", csp)
	}
	closed := newGateAt(t, testkit.WriteFile(t, "keys.yaml", keyFile), "")
	if w := closed.request("GET", "/console/", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "started without <code>--admin-token</code>") || strings.Contains(w.Body.String(), "key-a") {
		t.Errorf("console of a gate without a token = %d %s, want what to do", w.Code, w.Body)
	}
	if w := closed.request("POST", "/console/key", url.Values{"id": {"key-a"}, "action": {"disable"}, "version": {"*"}}.Encode(), "Content-Type: application/x-www-form-urlencoded"); closed.file(t) != keyFile {
		t.Errorf("form for a gate without a token = %d, and the key file has changed", w.Code)
	}
}

// TestHostileNames has names and owners that would do harm if a page took them for markup.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	names := []string{`<img src=x onerror=alert(1)>`, `"><script>alert(2)</script>`, `javascript:alert(3)`, "{{.File}}", "a\u200bb", "\u202eeslaf", `' autofocus onfocus='alert(4)`}
	var file strings.Builder
	file.WriteString("version: 1\nkeys:\n")
	for i := range names {
		owner := strings.Map(func(r rune) rune {
			if r == '\u200b' || r == '\u202e' {
				return -1 // an owner cannot have it
			}
			return r
		}, names[i])
		fmt.Fprintf(&file, "  - {id: k%d, owner: %q, sha256: %s}\n", i, owner, keystore.DigestOf(fmt.Sprint(i)))
	}
	file.WriteString("chatflows:\n")
	for i, name := range names {
		fmt.Fprintf(&file, "  - {id: 00000000-0000-4000-8000-00000000000%d, name: %q, keys: [k%d]}\n", i, name, i)
	}
	g := newGate(t, file.String())
	b := g.browser(t)
	pages := []string{"", "new-key", "new-chatflow", "?filter=" + url.QueryEscape(names[1])}
	for i := range names {
		pages = append(pages, fmt.Sprintf("key?id=k%d", i), fmt.Sprintf("chatflow?id=00000000-0000-4000-8000-00000000000%d", i))
	}
	for _, page := range pages {
		body := b.get(t, page, 200)
		for _, never := range []string{"<img", "<script>", `'alert(4)`, "onfocus='", "\u200b", "\u202e", `href="javascript`, g.keys + "</bdi>"} {
			if strings.Contains(body, never) {
				t.Errorf("page %q has %q in it", page, never)
			}
		}
	}
	wantIn(t, "first page", b.get(t, "", 200), `\u202eeslaf`, `a\u200bb`, `<img src=x onerror=alert(1)>`)
}
