//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// fnOpenName is the name in Flowise of the chatflow fnOpen.
const fnOpenName = "fn open"

// inConsole goes from an empty key file to a revoked key in Chromium, on the console of a gate. The test is in test/browser,
// whose module has what drives a browser.
func inConsole(t *testing.T, l *lab) {
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-tags", "e2e", "-count=1", "-timeout", "5m", "-run", "^TestConsoleFlowise$", ".")
	cmd.Dir = filepath.Join(testkit.Root(t), "test", "browser")
	cmd.Env = append(os.Environ(),
		"FLOWLATCH_BIN="+l.binary, "E2E_FLOWISE_URL="+l.flowise.url, "E2E_FLOWISE_KEY="+l.flows.key, "E2E_CHATFLOW_NAME="+fnOpenName,
		"E2E_CLIENT="+filepath.Join(cache, "flowise-sdk-1.0.9", "package"),
		"E2E_WIDGET_FILE="+filepath.Join(cache, "flowise-embed-"+widgetVersions[0].version, "package", "dist", "web.js"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// byAPI goes from an empty key file to a revoked key through the API of the admin listener.
func byAPI(t *testing.T, l *lab) {
	const token = "admin-token-of-the-e2e-tests-0123456789"
	dir := t.TempDir()
	keys, admin, credential := filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "admin.token"), filepath.Join(dir, "flowise.key")
	writeFile(t, keys, "version: 1\n")
	writeFile(t, admin, token)
	writeFile(t, credential, l.flows.key)
	l.secrets = append(l.secrets, token)
	g := l.serve(t, keys, "--admin-token", "file:"+admin, "--upstream-api", "file:"+credential)
	api := func(method, path string, body any) (got struct {
		Secret   string    `json:"secret"`
		Status   string    `json:"status"`
		LastUsed time.Time `json:"last_used"`
	},
	) {
		t.Helper()
		r := request{method: method, path: "/api" + path, key: token, header: map[string]string{"If-Match": "*"}, body: body}
		res := send(t, g.Admin, r)
		if err := json.Unmarshal(res.body, &got); err != nil || res.status/100 != 2 {
			t.Fatalf("%v = %v, want 2xx", r, res)
		}
		if got.Secret != "" {
			l.secrets = append(l.secrets, got.Secret)
		}
		return got
	}

	first := api(http.MethodPost, "/keys", map[string]any{"id": "shop", "chatflows": []string{fnOpenName}}).Secret
	l.opens(t, g, first, true)
	if used := api(http.MethodGet, "/keys/shop", nil).LastUsed; time.Since(used) > time.Minute {
		t.Errorf("last_used = %v, want the request of a moment ago", used)
	}
	second := api(http.MethodPost, "/keys/shop/rotate", map[string]any{"overlap": "1h"}).Secret
	l.opens(t, g, first, true)
	l.opens(t, g, second, true)
	l.wantCounted(t, g, 3, 0)
	api(http.MethodPost, "/keys/shop/disable", nil)
	if status := api(http.MethodGet, "/keys/shop", nil).Status; status != "disabled" {
		t.Errorf("status = %q, want disabled", status)
	}
	l.opens(t, g, first, false)
	l.opens(t, g, second, false)
	l.wantCounted(t, g, 5, 2)
}

// byCommands goes from no key file to a revoked key by commands. Chatflows are named by the addresses that a browser shows.
func byCommands(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	first := keys.add(t, "shop", l.flowise.url+"/canvas/"+l.flows.fnOpen)
	g := l.serve(t, keys.path)
	l.opens(t, g, first, true)
	list := keys.command(t, "key", "list", "--keys", keys.path, "--admin", strings.TrimPrefix(g.Admin, "http://"))
	if !strings.Contains(list, "LAST USED") || !strings.Contains(list, l.flows.fnOpen) {
		t.Errorf("key list printed\n%s\nwant when the key was used, and for what", list)
	}
	second := strings.TrimSpace(keys.command(t, "key", "rotate", "--keys", keys.path, "--id", "shop", "--overlap", "1h"))
	l.secrets = append(l.secrets, second)
	testkit.EventuallyWithin(t, 3*time.Second, "the new secret opens the chatflow", func() bool {
		return send(t, g.URL, ask(l.flows.fnOpen, unique(), second)).status == http.StatusOK
	})
	l.opens(t, g, first, true)
	keys.command(t, "key", "revoke", "--keys", keys.path, "--id", "shop", "--force")
	testkit.EventuallyWithin(t, 3*time.Second, "the key is revoked", func() bool {
		return send(t, g.URL, ask(l.flows.fnOpen, unique(), second)).status == http.StatusUnauthorized
	})
	l.opens(t, g, first, false)
	l.opens(t, g, second, false)
}

// opens asks the chatflow fnOpen a question, and wants the response, or a refusal that Flowise does not hear of.
func (l *lab) opens(t *testing.T, g *testkit.Gate, secret string, want bool) {
	t.Helper()
	q := unique()
	r := ask(l.flows.fnOpen, q, secret)
	if got := send(t, g.URL, r); want {
		wantText(t, r, got, echo(q))
	} else {
		wantProblem(t, r, got, http.StatusUnauthorized, "invalid_key")
		l.neverRan(t, l.flows.fnOpen, q)
	}
}

// wantCounted wants that the status of the gate counts requests for the chatflow fnOpen.
func (l *lab) wantCounted(t *testing.T, g *testkit.Gate, requests, refused int) {
	t.Helper()
	var st struct {
		Chatflows []struct {
			ID       string         `json:"id"`
			Name     string         `json:"name"`
			Requests int            `json:"requests"`
			Refused  map[string]int `json:"refused"`
		} `json:"chatflows"`
	}
	testkit.Eventually(t, "the requests are counted", func() bool {
		got := send(t, g.Admin, request{method: http.MethodGet, path: "/status"})
		if err := json.Unmarshal(got.body, &st); err != nil {
			t.Fatal(err)
		}
		if len(st.Chatflows) != 1 {
			t.Fatalf("chatflows = %+v, want one", st.Chatflows)
		}
		c := st.Chatflows[0]
		return c.ID == l.flows.fnOpen && c.Name == fnOpenName && c.Requests == requests && c.Refused["invalid_key"] == refused
	})
}
