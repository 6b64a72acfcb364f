package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestAdminToken starts a gate whose keys can be changed on the admin listener, revokes a key there, and changes the token.
func TestAdminToken(t *testing.T) {
	t.Parallel()
	const old, next = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	path := testkit.WriteFile(t, "admin.token", old+"\n")
	g := startGate(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "--admin-token", "file:"+path)
	ask := func(method, path, token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, g.Admin+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("If-Match", "*")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if got := g.predict(t, webChatflow, g.web); got.status != 200 {
		t.Fatalf("request = %d, want 200", got.status)
	}
	if status, body := ask("POST", "/api/keys/acme-web/disable", old); status != 200 {
		t.Fatalf("disabling the key = %d %s, want 200", status, body)
	}
	if got := g.predict(t, webChatflow, g.web); got.status != 401 {
		t.Errorf("request with the disabled key = %d, want 401", got.status)
	}
	line := g.AwaitLog(t, "key file changed on the console")
	if got, want := fmt.Sprint(line["action"], " ", line["key"], " ", line["by"], " ", line["client"]), "disable acme-web admin token "; !strings.HasPrefix(got, want) || line["client"] == nil {
		t.Errorf("log line = %v, want what was done to which key, by whom and from where", line)
	}

	testkit.ReplaceFile(t, path, next)
	g.AwaitLog(t, "admin token applied; sessions of the old one have ended")
	if status, _ := ask("GET", "/api/keys", old); status != 401 {
		t.Errorf("list with the old token = %d, want 401", status)
	}
	if status, body := ask("GET", "/api/keys/acme-web", next); status != 200 || !strings.Contains(body, `"status": "disabled"`) {
		t.Errorf("key with the new token = %d %s, want 200 and that it is disabled", status, body)
	}
	for _, secret := range []string{old, next, g.web} {
		if strings.Contains(g.Stderr.String(), secret) {
			t.Errorf("the log has %s in it", secret)
		}
	}
}
