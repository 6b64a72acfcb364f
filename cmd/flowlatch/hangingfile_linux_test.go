package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestKeyFileHangs makes the key file hang, as on a mount whose server is gone. A request for a reload gets an error in
// time, and the gate applies the file's content once it can be read again.
func TestKeyFileHangs(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())
	lease := testkit.TakeLease(t, g.Keys)
	for range 3 { // the first waits, the others find that the file still hangs
		if res := g.reload(t); res.status != http.StatusUnprocessableEntity || !strings.Contains(res.body, "the file system has not responded") {
			t.Errorf("reload = %d %s, want 422 and what is wrong", res.status, res.body)
		}
	}
	if stale := g.metric(t, "flowlatch_keys_stale"); stale != 1 {
		t.Errorf("flowlatch_keys_stale = %d, want 1", stale)
	}
	g.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, "log line after SIGHUP", func() bool { return len(g.Logged(t, invalidKeyFile)) > 3 })
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
		t.Errorf("predict with the last good keys = %d, want 200", res.status)
	}
	lease.Write(t, g.revoked())
	lease.Release(t)
	g.wantRevoked(t)

	// A file that hangs does not keep the gate from ending.
	lease = testkit.TakeLease(t, g.Keys)
	testkit.Eventually(t, "look at the file", lease.Waiting)
	g.WantExit(t, syscall.SIGTERM)
	if !lease.Waiting() {
		t.Error("nobody waits for the file any more: the lease was over before the gate ended")
	}
}

// TestServeHangingKeyFile: a gate does not wait forever for its key file.
func TestServeHangingKeyFile(t *testing.T) {
	t.Parallel()
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	lease := testkit.TakeLease(t, keys)
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", keys)
	testkit.Eventually(t, "gate that waits for its key file", lease.Waiting)
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t); code != exitFailed || !strings.Contains(p.Stderr.String(), keys+`": the file system has not responded for 5s`) {
		t.Errorf("serve = %d, %q, want 1 and what is wrong", code, &p.Stderr)
	}
	if !lease.Waiting() {
		t.Error("nobody waits for the file any more: the lease was over before the gate gave up")
	}
}
