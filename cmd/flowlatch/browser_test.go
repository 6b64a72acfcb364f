package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// pageOrigin is the origin of the page that sends browser tokens.
const pageOrigin = "https://www.example.com"

// forPages returns the gate's key file, with browser tokens allowed for the web key.
func (g *gate) forPages() string {
	return strings.Replace(g.keyFile(), "id: acme-web\n", "id: acme-web\n    browser: {origins: ["+pageOrigin+"]}\n", 1)
}

// mint asks for a browser token with the web key.
func (g *gate) mint(t *testing.T) string {
	t.Helper()
	res := send(t, http.MethodPost, g.URL+"/-/token", g.web, `{"chatflow":"`+webChatflow+`","origin":"`+pageOrigin+`"}`)
	var minted struct{ Token string }
	if err := json.Unmarshal([]byte(res.body), &minted); err != nil || minted.Token == "" {
		t.Fatalf("POST /-/token = %d %s, %v, want a token", res.status, res.body, err)
	}
	return minted.Token
}

// predictFromPage asks for a prediction with a browser token, and returns the status.
func (g *gate) predictFromPage(t *testing.T, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v1/prediction/"+webChatflow, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "Origin": {pageOrigin}}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestBrowserSecrets runs a gate with a file of secrets, and changes the file meanwhile.
func TestBrowserSecrets(t *testing.T) {
	t.Parallel()
	secret := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) + "\n" }
	one, two := secret("0123456789abcdefghijklmnopqrstuv"), secret("vutsrqponmlkjihgfedcba9876543210")
	file := testkit.WriteFile(t, "browser.secrets", one)
	g := startGate(t, newEcho(), "--browser-secrets", file)
	testkit.ReplaceFile(t, g.Keys, g.forPages())
	if res := g.reload(t); res.status != http.StatusOK || !strings.Contains(res.body, `"browser_secrets": {`) {
		t.Fatalf("reload = %d %s, want it to have the secrets", res.status, res.body)
	}
	want := func(what, token string, status int) {
		t.Helper()
		if got := g.predictFromPage(t, token); got != status {
			t.Errorf("a request with a token %s = %d, want %d", what, got, status)
		}
	}
	command := func() string {
		t.Helper()
		code, stdout, stderr := finish(t, "token", "--keys", g.Keys, "--browser-secrets", file, "--key-id", "acme-web", "--chatflow", webChatflow, "--origin", pageOrigin)
		if code != exitOK {
			t.Fatalf("flowlatch token = %d %s", code, stderr)
		}
		return strings.TrimSpace(stdout)
	}
	old := g.mint(t)
	want("of the gate", old, http.StatusOK)
	want("of the command", command(), http.StatusOK)

	testkit.ReplaceFile(t, file, two+one)
	g.AwaitLog(t, "secrets of browser tokens applied")
	want("from before a rotation", old, http.StatusOK)
	next := g.mint(t)
	testkit.ReplaceFile(t, file, two)
	testkit.Eventually(t, "the end of the old secret", func() bool { return g.predictFromPage(t, old) == http.StatusUnauthorized })
	want("from after it", next, http.StatusOK)

	testkit.ReplaceFile(t, file, "nothing of the kind\n")
	g.AwaitLog(t, "the file of --browser-secrets is invalid; the last good secrets stay active")
	want("while the file is invalid", next, http.StatusOK)
	if res := g.reload(t); res.status != http.StatusUnprocessableEntity || !strings.Contains(res.body, "this is not base64") {
		t.Errorf("reload = %d %s, want 422 and the fault", res.status, res.body)
	}
	if s := g.status(t); !strings.Contains(strings.Join(s.Warnings, "\n"), "the secrets of browser tokens are invalid, and the last good ones stay active: "+file+":1: this is not base64") {
		t.Errorf("warnings of the status = %q, want the fault", s.Warnings)
	}
	testkit.ReplaceFile(t, file, one)
	g.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, "the first secret again", func() bool { return g.predictFromPage(t, old) == http.StatusOK })
	for _, line := range []string{one, two, old, next} {
		if strings.Contains(g.Stderr.String(), strings.TrimSpace(line)) {
			t.Error("the log has a secret or a token")
		}
	}
	if n := len(g.Logged(t, randomSecretsMessage)); n != 0 {
		t.Errorf("lines about a random secret = %d, want none", n)
	}
}

const randomSecretsMessage = "browser tokens are signed with a random secret of this process, so they are for one replica and end with it; for more, or to survive restarts, set --browser-secrets"

// TestRandomBrowserSecret: without --browser-secrets, if a key allows browser tokens, the log says once that they are
// for one replica.
func TestRandomBrowserSecret(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())
	if n := len(g.Logged(t, randomSecretsMessage)); n != 0 {
		t.Errorf("lines about a random secret, without keys that have tokens = %d, want none", n)
	}
	testkit.ReplaceFile(t, g.Keys, g.forPages())
	g.reload(t)
	testkit.ReplaceFile(t, g.Keys, g.forPages()+"# again\n")
	g.reload(t)
	if got := g.predictFromPage(t, g.mint(t)); got != http.StatusOK {
		t.Errorf("a request with a token = %d, want 200", got)
	}
	testkit.Eventually(t, "the line about it", func() bool { return len(g.Logged(t, randomSecretsMessage)) > 0 })
	if n := len(g.Logged(t, randomSecretsMessage)); n != 1 {
		t.Errorf("lines about a random secret = %d, want one", n)
	}
}
