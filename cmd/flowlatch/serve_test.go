package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

func TestServeStart(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho(), "--expose", "predict,widget")
	want := testkit.Line{
		"level": "info", "message": "serving", "version": buildVersion(), "preset": "flowise", "expose": []any{"predict", "widget"},
		"keys": 2.0, "chatflows": 2.0, "tls": false, "status_page": g.Admin + "/",
	}
	changing := cmpopts.IgnoreMapEntries(func(k string, _ any) bool {
		return k == "time" || k == "listen" || k == "admin" || k == "upstream"
	})
	if diff := cmp.Diff(want, g.AwaitLog(t, "serving"), changing); diff != "" {
		t.Errorf("start-up line (-want +got):\n%s", diff)
	}
	if got := g.Stdout.String(); got != "" {
		t.Errorf("stdout = %q, want nothing", got)
	}
	if res := send(t, http.MethodGet, g.Admin+"/", "", ""); res.status != http.StatusOK || res.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("status page = %d %q, want HTML", res.status, res.header.Get("Content-Type"))
	}
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ok"} {
		if res := send(t, http.MethodGet, g.Admin+path, "", ""); res.status != http.StatusOK || strings.TrimSpace(res.body) != want {
			t.Errorf("GET %s = %d %q, want 200 %q", path, res.status, res.body, want)
		}
	}
	if res := send(t, http.MethodGet, g.URL+"/readyz", g.web, ""); res.status != http.StatusNotFound {
		t.Errorf("GET /readyz on the listener for clients = %d, want 404", res.status)
	}
	code, stdout, stderr := finish(t, "healthcheck", "--admin", strings.TrimPrefix(g.Admin, "http://"))
	if code != exitOK || stdout != "ok\n" || stderr != "" {
		t.Errorf("healthcheck = %d, %q, %q, want 0, %q and nothing", code, stdout, stderr, "ok\n")
	}
}

func TestServeForward(t *testing.T) {
	t.Parallel()
	upstream := newEcho()
	g := startGate(t, upstream)
	for _, row := range []struct {
		name, chatflow, key string
		status              int
		code                string
	}{
		{"key", webChatflow, g.web, http.StatusOK, ""},
		{"other key", webChatflow, g.batch, http.StatusForbidden, "key_not_for_chatflow"},
		{"other chatflow", batchChatflow, g.batch, http.StatusOK, ""},
		{"wrong key", webChatflow, strings.Repeat("x", 41), http.StatusUnauthorized, "invalid_key"},
		{"no key", webChatflow, "", http.StatusUnauthorized, "missing_key"},
	} {
		t.Run(row.name, func(t *testing.T) {
			res := g.predict(t, row.chatflow, row.key)
			if res.status != row.status || res.code() != row.code {
				t.Errorf("predict(%s) = %d %q, want %d %q", row.name, res.status, res.code(), row.status, row.code)
			}
			if row.status != http.StatusOK {
				if n := len(upstream.requests); n != 0 {
					t.Errorf("requests at the upstream = %d, want none", n)
				}
				return
			}
			if want := `{"question":"Hello?"}`; res.body != want {
				t.Errorf("predict(%s) = %q, want %q", row.name, res.body, want)
			}
			r := <-upstream.requests
			if want := "/api/v1/prediction/" + row.chatflow; r.URL.Path != want || r.Method != http.MethodPost {
				t.Errorf("at the upstream = %s %s, want POST %s", r.Method, r.URL.Path, want)
			}
			if got, ok := r.Header["Authorization"]; ok {
				t.Errorf("Authorization at the upstream = %q, want none", got)
			}
		})
	}
}

func TestHangupReloads(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())

	// A poll that finds nothing new logs nothing; the signal does.
	const unchanged = "key file unchanged"
	if got := len(g.Logged(t, unchanged)); got != 0 {
		t.Fatalf("log lines %q before the signal = %d, want 0", unchanged, got)
	}
	g.Signal(t, syscall.SIGHUP)
	g.AwaitLog(t, unchanged)

	testkit.ReplaceFile(t, g.Keys, "version: 1\nkeys: []\n")
	g.Signal(t, syscall.SIGHUP)
	fault := g.AwaitLog(t, "key file is invalid; the last good keys stay active")
	if got, _ := fault["error"].(string); fault["level"] != "error" || !strings.Contains(got, g.Keys+":1: no chatflow is listed") {
		t.Errorf("log line of the fault = %v, want an error with the place", fault)
	}
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
		t.Errorf("predict with a fault in the key file = %d, want 200", res.status)
	}
	if res := send(t, http.MethodGet, g.Admin+"/readyz", "", ""); res.status != http.StatusOK {
		t.Errorf("GET /readyz with a fault in the key file = %d, want 200", res.status)
	}

	testkit.ReplaceFile(t, g.Keys, strings.Replace(g.keyFile(), "    keys: [acme-web]", "    keys: [batch]", 1))
	g.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, "new keys applied", func() bool { return g.predict(t, webChatflow, g.batch).status == http.StatusOK })
	if res := g.predict(t, webChatflow, g.web); res.code() != "key_not_for_chatflow" {
		t.Errorf("predict with a key that was removed = %d %q, want key_not_for_chatflow", res.status, res.code())
	}
	testkit.Eventually(t, "log line of new keys", func() bool { return len(g.Logged(t, "key file applied")) >= 2 })
	loaded := g.Logged(t, "key file applied")
	if n := len(loaded); n != 2 || !cmp.Equal(loaded[n-1]["chatflows_changed"], []any{webChatflow}) {
		t.Errorf("log lines of reloads = %v, want 2, the last with what changed", loaded)
	}
	g.WantExit(t, syscall.SIGTERM)
}
