package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestWaitForKeys checks that a gate may start before its key file exists.
func TestWaitForKeys(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", keys, "--wait-for-keys", testkit.Timeout.String())
	if got, _ := p.AwaitLog(t, "waiting for the key file")["error"].(string); !strings.Contains(got, "it does not exist") {
		t.Errorf("log line of the wait = %q, want why", got)
	}
	if n := len(p.Logged(t, "serving")); n != 0 {
		t.Errorf("log lines %q without keys = %d, want 0", "serving", n)
	}
	code, secret, stderr := finish(t, "key", "new", "--keys", keys, "--id", "acme-web", "--chatflow", webChatflow)
	if code != exitOK {
		t.Fatalf("key new = %d, %q, want 0", code, stderr)
	}
	res := send(t, http.MethodPost, testkit.Serving(t, p).URL+"/api/v1/prediction/"+webChatflow, strings.TrimSpace(secret), "{}")
	if res.status == http.StatusUnauthorized || res.status == http.StatusForbidden {
		t.Errorf("predict with the key that was waited for = %d, want it accepted", res.status)
	}
	for _, line := range p.Log(t) {
		if line["level"] == "error" && strings.Contains(line["message"].(string), "last good one") {
			t.Errorf("log line while there were no keys = %v, want nothing about a last good file", line)
		}
	}
	p.WantExit(t, syscall.SIGTERM)
}

func TestWaitForKeysEnds(t *testing.T) {
	t.Parallel()
	keys := testkit.WriteFile(t, "keys.yaml", "version: 1\n")
	code, stdout, stderr := finish(t, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", keys, "--wait-for-keys", "100ms")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "\nflowlatch: "+keys+":1: no chatflow is listed") {
		t.Errorf("serve with a fault that stays = %d, %q, %q, want 1 and the fault", code, stdout, stderr)
	}
	// SIGTERM ends the wait.
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", keys, "--wait-for-keys", "1h")
	p.AwaitLog(t, "waiting for the key file")
	p.Signal(t, syscall.SIGTERM)
	p.Wait(t)
}
