package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestChatflowsOfFlowise picks, by its name, a chatflow that Flowise has and the key file does not.
func TestChatflowsOfFlowise(t *testing.T) {
	t.Parallel()
	const named, odd, twice = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002", "11111111-0000-4000-8000-000000000003"
	var asked atomic.Int64
	flowise := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/v1/version":
			fmt.Fprint(w, `{"version":"3.1.4"}`)
		case strings.HasPrefix(r.URL.Path, "/api/v1/prediction/"):
		case r.Header.Get("Authorization") != "Bearer key-of-flowise-0123456789":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/api/v1/chatflows":
			asked.Add(1)
			if r.URL.Query().Get("type") != "" && r.URL.Query().Get("type") != "CHATFLOW" {
				fmt.Fprint(w, `[]`)
				return
			}
			list, _ := json.Marshal([]map[string]string{
				{"id": botA, "name": "is in the file already"},
				{"id": named, "name": `Orders "EU"`},
				{"id": odd, "name": "<script>alert(1)</script>\n"},
				{"id": twice, "name": "same"},
				{"id": botC, "name": "same"},
				{"id": "../x", "name": "no ID"},
			})
			_, _ = w.Write(list)
		}
	}))
	g := newGateBefore(t, flowise.URL, testkit.WriteFile(t, "keys.yaml", keyFile), token, testkit.WriteFile(t, "flowise.key", "key-of-flowise-0123456789\n"))
	b := g.browser(t)
	form := b.get(t, "new-key", 200)
	wantIn(t, "form of a new key", form, "In Flowise, and not in the key file yet", `Orders "EU"`, `<script>alert(1)</script>\u000a`)
	if strings.Contains(form, "<script>alert") || strings.Contains(form, "../x") || strings.Contains(form, "is in the file already") {
		t.Errorf("form = %s, want no markup, no ID that cannot be one, and nothing that is in the file", form)
	}
	times := asked.Load()
	secret := g.do(t, "POST", "/api/keys", `{"id": "acme", "chatflows": ["Orders \"EU\"", "`+odd+`"]}`)["secret"].(string)
	if got := g.call(t, named, secret); got != 200 {
		t.Errorf("request for a chatflow that was named = %d, want 200", got)
	}
	if file := g.file(t); !strings.Contains(file, "name: \"Orders \\\"EU\\\"\"") && !strings.Contains(file, `name: 'Orders "EU"'`) || strings.Contains(file, "script") {
		t.Errorf("key file = %s, want the name of Flowise, and none that cannot be shown", file)
	}
	if status, p := g.api(t, "POST", "/api/keys/acme/grant", "*", `{"chatflows": ["same"]}`); status != 422 || !strings.Contains(fmt.Sprint(p["detail"]), "several chatflows have the name") {
		t.Errorf("a name of two = %d %v, want 422", status, p)
	}
	if got := asked.Load(); got != times {
		t.Errorf("Flowise was asked %d times more within a moment, want none", got-times)
	}
	down := newGateBefore(t, "http://127.0.0.1:1", testkit.WriteFile(t, "keys.yaml", keyFile), token, testkit.WriteFile(t, "flowise.key", "key-of-flowise-0123456789\n"))
	lacks := newGateBefore(t, testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })).URL,
		testkit.WriteFile(t, "keys.yaml", keyFile), token, testkit.WriteFile(t, "flowise.key", "key-of-flowise-0123456789\n"))
	wantIn(t, "form with a key that lacks a permission", lacks.browser(t).get(t, "new-key", 200), "it needs chatflows:view. Grant what it lacks in Flowise</p>")
	wantIn(t, "form without Flowise", down.browser(t).get(t, "new-key", 200), "Flowise cannot be asked for its chatflows", "connection refused")
}
