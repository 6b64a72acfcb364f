package console_test

import (
	"fmt"
	"html"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// browser is somebody who has signed in.
type browser struct {
	*gate
	cookie string
}

func (g *gate) browser(t *testing.T) browser { t.Helper(); return browser{g, g.signIn(t)} }

// get opens a page.
func (b browser) get(t *testing.T, page string, status int) string {
	t.Helper()
	w := b.request("GET", "/console/"+page, "", b.cookie)
	if w.Code != status {
		t.Fatalf("GET %s = %d, want %d: %s", page, w.Code, status, w.Body)
	}
	return w.Body.String()
}

var hiddenVersion = regexp.MustCompile(`name="version" value="([0-9a-f]{64})"`)

// fill returns the fields of a form on a page: the version that the page was made from, and those given as name=value.
func (b browser) fill(t *testing.T, page string, fields ...string) url.Values {
	t.Helper()
	m := hiddenVersion.FindStringSubmatch(b.get(t, page, 200))
	if m == nil {
		t.Fatalf("page %s has no form with a version", page)
	}
	form := url.Values{"version": {m[1]}}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		form.Add(name, value)
	}
	return form
}

func (b browser) send(action string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	headers = append([]string{b.cookie, "Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin"}, headers...)
	return b.request("POST", "/console/"+action, form.Encode(), headers...)
}

// submit fills in a form, sends it and opens the page that it leads to.
func (b browser) submit(t *testing.T, page, action string, fields ...string) string {
	t.Helper()
	w := b.send(action, b.fill(t, page, fields...))
	if w.Code != 303 {
		t.Fatalf("POST %s %q = %d, want 303: %s", action, fields, w.Code, w.Body)
	}
	return b.get(t, strings.TrimPrefix(w.Header().Get("Location"), "/console/"), 200)
}

func wantIn(t *testing.T, what, body string, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(html.UnescapeString(body), s) {
			t.Errorf("%s has no %q: %s", what, s, body)
		}
	}
}

var shownSecret = regexp.MustCompile(`fl_[0-9A-Za-z]{38}`)

// TestPages makes a key and does everything with it by forms, without JavaScript.
func TestPages(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	b := g.browser(t)
	wantIn(t, "first page", b.get(t, "", 200), "key-a", "support", botB)
	shown := b.submit(t, "new-key?chatflow="+botA, "new-key", "id=acme", "owner=Jane & <Co>", "chatflow="+botA, "pasted=https://flows.example.com/canvas/"+botC+"\n\n",
		"not_after=2099-01-01", "requests=1000/1s, 10000/month", "concurrent=4", "stream=", "bytes=2GiB/month")
	secret := shownSecret.FindString(shown)
	wantIn(t, "page of the new key", shown, "Key acme is made, and applied (generation 2)", "Jane & <Co>", "until 2099-01-01 00:00", "4 at once", "2GiB/month bytes", "support", botC,
		`curl -s 'http://127.0.0.1:8080/api/v1/prediction/`, "Authorization: Bearer "+secret, `-d '{"question": "Hello?"}'`,
		"baseUrl: 'http://127.0.0.1:8080', apiKey: '"+secret+"'", `headers={"Authorization": "Bearer `+secret+`"}`, "<script type=\"module\">\n  import Chatbot",
		"chatflowid: '"+botA+"', apiHost: 'http://127.0.0.1:8080'", "Authorization: 'Bearer "+secret+"' } }")
	if again := b.get(t, "key?id=acme", 200); strings.Contains(again, secret) || strings.Contains(again, "is made") {
		t.Error("the secret, or what was done, is shown again")
	}
	for _, id := range []string{botA, botC} {
		if got := g.call(t, id, secret); got != 200 {
			t.Errorf("request for %s with the secret = %d, want 200", id, got)
		}
	}
	rotated := shownSecret.FindString(b.submit(t, "key?id=acme", "key", "id=acme", "action=rotate", "overlap=0s"))
	if old, next := g.call(t, botA, secret), g.call(t, botA, rotated); old != 401 || next != 200 {
		t.Errorf("requests after a rotation without overlap = %d, %d, want 401 with the old secret and 200 with the new one", old, next)
	}
	for _, step := range []struct {
		fields   []string
		says     string
		chatflow string
		want     int
	}{
		{[]string{"action=disable"}, "Key acme is disabled", botA, 401},
		{[]string{"action=enable"}, "Key acme is enabled", botA, 200},
		{[]string{"action=grant", "chatflow=" + botB}, "opens more chatflows", botB, 200},
		{[]string{"action=withdraw", "chatflow=" + botB}, "opens fewer chatflows", botB, 403},
		{[]string{"action=withdraw", "chatflow=" + botC, "close=true"}, "opens fewer chatflows", botC, 403},
		{[]string{"action=grant", "pasted=" + botC}, "opens more chatflows", botC, 200},
	} {
		wantIn(t, "page after "+step.fields[0], b.submit(t, "key?id=acme", "key", append(step.fields, "id=acme")...), step.says)
		if got := g.call(t, step.chatflow, rotated); got != step.want {
			t.Errorf("request after %q = %d, want %d", step.fields, got, step.want)
		}
	}
	wantIn(t, "chatflow", b.submit(t, "chatflow?id="+botB, "chatflow", "id="+botB, "action=public", "sure=yes"), "everyone, without a key")
	if got := g.call(t, botB, ""); got != 200 {
		t.Errorf("request for a public chatflow = %d, want 200", got)
	}
	wantIn(t, "chatflow", b.submit(t, "chatflow?id="+botB, "chatflow", "id="+botB, "action=private"), "only its keys open it")
	wantIn(t, "chatflow", b.submit(t, "chatflow?id="+botB, "chatflow", "id="+botB, "action=grant", "key=acme"), "Key acme opens this chatflow")
	const id = "11111111-0000-4000-8000-00000000000d"
	wantIn(t, "new chatflow", b.submit(t, "new-chatflow", "new-chatflow", "id=https://flows.example.com/agentcanvas/"+id, "name=Docs \"search\"", "keys=key-a\r\nacme"), "The chatflow is listed", `Docs "search"`)
	wantIn(t, "first page", b.submit(t, "key?id=acme", "key", "id=acme", "action=delete", "close=true"), "Key acme is deleted")
	if strings.Contains(g.file(t), "acme") || !strings.Contains(g.file(t), "# Jane's") {
		t.Errorf("key file = %s, want no acme, and the comments", g.file(t))
	}
	wantIn(t, "log", g.log.String(), `"action":"make","client":"192.0.2.1","by":"session `)
	if log := g.log.String(); strings.Contains(log, secret) || strings.Contains(log, rotated) || strings.Contains(log, token) {
		t.Error("the log has a secret in it")
	}
}

// TestFromNothing makes the first key of a key file that lists nothing.
func TestFromNothing(t *testing.T) {
	t.Parallel()
	g := newGate(t, "version: 1\n")
	b := g.browser(t)
	wantIn(t, "first page", b.get(t, "", 200), "There are no keys yet", "all are closed")
	secret := shownSecret.FindString(b.submit(t, "new-key", "new-key", "id=acme"))
	b.submit(t, "key?id=acme", "key", "id=acme", "action=grant", "pasted=https://flows.example.com/canvas/"+botA)
	if got := g.call(t, botA, secret); got != 200 {
		t.Errorf("request with the first key = %d, want 200", got)
	}
}

// TestFormsRefuse sends forms that must be refused; what was filled in stays.
func TestFormsRefuse(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	b := g.browser(t)
	for _, tt := range []struct {
		name, page, action string
		fields             []string
		status             int
		says               []string
	}{
		{
			"an ID that is taken", "new-key", "new-key",
			[]string{"id=key-a", `owner="><script>alert(1)</script>`, "chatflow=" + botA, "requests=5/1m"},
			422,
			[]string{`there is a key "key-a" already`, `value=""><script>`, `value="5/1m"`, botA + `" checked`},
		},
		{
			"every field of a new key", "new-key", "new-key",
			[]string{"id=key-a", "owner=Zoe", "not_after=2099-02-03", "requests=7/1s", "concurrent=41", "stream=17m", "stream_seconds=77/month", "bytes=5MiB/day"},
			422,
			[]string{`value="Zoe"`, `value="2099-02-03"`, `<details open>`, `value="7/1s"`, `value="41"`, `value="17m"`, `value="77/month"`, `value="5MiB/day"`},
		},
		{"a public chatflow that is there", "new-chatflow", "new-chatflow", []string{"id=" + botB, "keys=key-a", "public=true"}, 422, []string{`name="public" value="true" checked`, ">key-a</textarea>"}},
		{"no number", "new-key", "new-key", []string{"id=x", "concurrent=many"}, 400, []string{"want a number"}},
		{"a limit that is none", "new-key", "new-key", []string{"id=x", "requests=often"}, 422, []string{"often"}},
		{"an ID that cannot be", "new-key", "new-key", []string{"id=<b>x</b>"}, 422, []string{"key ID"}},
		{"deleting without the box", "key?id=key-a", "key", []string{"id=key-a", "action=delete"}, 400, []string{"tick the box"}},
		{"withdrawing the only key", "key?id=key-a", "key", []string{"id=key-a", "action=withdraw", "chatflow=" + botB}, 422, []string{"is the only key", "or close it, which removes its entry with name and limits: tick the box to close it"}},
		{"publishing without the box", "chatflow?id=" + botA, "chatflow", []string{"id=" + botA, "action=public"}, 400, []string{"tick the box"}},
		{"no action", "key?id=key-a", "key", []string{"id=key-a"}, 400, []string{"incomplete"}},
		{"a key that is gone", "key?id=key-a", "key", []string{"id=gone", "action=disable"}, 404, []string{"there is no key"}},
		{"a chatflow for nobody", "new-chatflow", "new-chatflow", []string{"id=" + botC, "name=My bot"}, 422, []string{"neither `keys:` nor", "My bot"}},
	} {
		w := b.send(tt.action, b.fill(t, tt.page, tt.fields...))
		if w.Code != tt.status {
			t.Errorf("%s = %d, want %d", tt.name, w.Code, tt.status)
		}
		wantIn(t, tt.name, w.Body.String(), tt.says...)
		if strings.Contains(w.Body.String(), "<script>alert") || strings.Contains(w.Body.String(), "<b>") {
			t.Errorf("%s: the page has markup of a field: %s", tt.name, w.Body)
		}
	}
	w := b.send("key", url.Values{"id": {"key-a"}, "action": {"disable"}})
	if w.Code != 400 {
		t.Errorf("a form without a version = %d, want 400", w.Code)
	}
	if w := b.send("new-key", url.Values{"id": {"x"}, "pasted": {strings.Repeat("x", 70<<10)}}); w.Code < 400 {
		t.Errorf("a form of 70 KiB = %d, want it refused", w.Code)
	}
	b.get(t, "key?id=nobody", 404)
	b.get(t, "chatflow?id=nothing", 404)
	if diff := cmp.Diff(keyFile, g.file(t)); diff != "" {
		t.Errorf("the key file has changed:\n%s", diff)
	}
}

// TestTwoPeople: two people have the same page open. The second one to change something is told so, and can repeat her
// change.
func TestTwoPeople(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile)
	one, two := g.browser(t), g.browser(t)
	form := two.fill(t, "key?id=key-a", "id=key-a", "action=disable")
	one.submit(t, "key?id=key-a", "key", "id=key-a", "action=grant", "pasted="+botC)
	w := two.send("key", form)
	wantIn(t, "second form", w.Body.String(), "has changed since you looked at it, so nothing was done")
	if w.Code != 412 || strings.Contains(g.file(t), "secret: "+secretA+", disabled") {
		t.Errorf("second form = %d, want 412 and nothing done", w.Code)
	}
	form.Set("version", hiddenVersion.FindStringSubmatch(w.Body.String())[1])
	if w := two.send("key", form); w.Code != 303 {
		t.Errorf("the same form again, on what is there now = %d, want 303", w.Code)
	}
	form = one.fill(t, "key?id=off", "id=off", "action=enable")
	testkit.ReplaceFile(t, g.keys, "version: 1\nkeys: [")
	if w := one.send("key", form); w.Code != 409 || !strings.Contains(w.Body.String(), "the key file is invalid") {
		t.Errorf("form for a file that became invalid = %d %s, want 409", w.Code, w.Body)
	}
	one.get(t, "", 409)
}

// TestNotWritablePage checks that the page says what to do if the key file cannot be replaced.
func TestNotWritablePage(t *testing.T) {
	t.Parallel()
	g := newGateAt(t, unwritable(t), token)
	b := g.browser(t)
	w := b.send("new-key", b.fill(t, "new-key", "id=acme", "chatflow="+botA))
	if w.Code != 409 || shownSecret.FindString(w.Body.String()) == "" {
		t.Errorf("new key = %d, want 409 with the secret", w.Code)
	}
	wantIn(t, "page", w.Body.String(), "Key file cannot be written", "kubectl create secret generic", "- id: acme")
}

// TestTenThousandKeys opens the pages of a large key file: none is large.
func TestTenThousandKeys(t *testing.T) {
	t.Parallel()
	n := 500
	if testkit.Long() {
		n = 10_000
	}
	var file strings.Builder
	file.WriteString("version: 1\nkeys:\n")
	for i := range n {
		fmt.Fprintf(&file, "- {id: key-%d, owner: \"Customer %d\", sha256: %s}\n", i, i, keystore.DigestOf(fmt.Sprint(i)))
	}
	file.WriteString("chatflows:\n")
	for i := range n {
		fmt.Fprintf(&file, "- {id: 00000000-0000-4000-8000-%012d, name: bot %d, keys: [key-%d]}\n", i, i, i)
	}
	g := newGate(t, file.String())
	b := g.browser(t)
	for _, page := range []string{"", "new-key", "key?id=key-1", "chatflow?id=00000000-0000-4000-8000-000000000001"} {
		if body := b.get(t, page, 200); len(body) > 100_000 {
			t.Errorf("page %q has %d bytes, want at most 100,000", page, len(body))
		}
	}
	last := fmt.Sprint("key-", n-1)
	if first := b.get(t, "", 200); strings.Contains(first, last+"<") || !strings.Contains(first, "./?keys=100") {
		t.Error("the first page has the last key, or does not lead further")
	}
	wantIn(t, "last part", b.get(t, fmt.Sprintf("?keys=%d", n-100), 200), last, "Earlier")
	wantIn(t, "filtered", b.get(t, "?filter=customer+"+fmt.Sprint(n-1), 200), last, "1 of "+fmt.Sprint(n)+" match the filter")
	b.submit(t, "key?id="+last, "key", "id="+last, "action=disable")
}

// TestKeyWithBrowserTokens checks that the console shows what it cannot change: browser tokens, and that a key is a
// honey key.
func TestKeyWithBrowserTokens(t *testing.T) {
	t.Parallel()
	g := newGate(t, strings.Replace(keyFile, "keys:\n", "keys:\n  - {id: trap, secret: secret-of-honey-0123456789, honey: true}\n  - {id: shop, secret: secret-of-shop-0123456789, browser: {origins: [\"https://www.example.com\"], max_ttl: 1h}}\n", 1))
	page := g.browser(t)
	wantIn(t, "page of a honey key", page.get(t, "key?id=trap", 200), "honey: it opens nothing")
	wantIn(t, "page of a key with browser tokens", page.get(t, "key?id=shop", 200), "Browser tokens", "pages of https://www.example.com; for 1h")
	if _, key := g.api(t, "GET", "/api/keys/shop", "", ""); key["browser"] != "pages of https://www.example.com; for 1h" {
		t.Errorf("key of the API = %v, want what its browser tokens may do", key)
	}
}
