package admin_test

import (
	"strings"
	"testing"
)

// TestReload asks for reloads of a key file that stays the same, becomes invalid and changes.
func TestReload(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	if w := g.ask("GET", "/-/reload", "localhost"); w.Code != 405 {
		t.Errorf("GET /-/reload = %d, want 405", w.Code)
	}
	if code, body := g.reload(t, keyFile); code != 200 || !strings.Contains(body, `"unchanged"`) {
		t.Errorf("reload of the same file = %d %s, want 200 unchanged", code, body)
	}
	if code, body := g.reload(t, keyFile+"  - {id: not/an/id, keys: [nobody]}\n"); code != 422 || !strings.Contains(body, "keys.yaml:14: chatflow") || !strings.Contains(body, "nobody") {
		t.Errorf("reload of an invalid file = %d %s, want 422 and both faults with their line", code, body)
	}
	if got := g.post(t, predict+botA, secretA, ""); got != 200 {
		t.Errorf("request with an old key while the file is invalid = %d, want 200", got)
	}
	if metrics := g.ask("GET", "/metrics", "localhost").Body.String(); !strings.Contains(metrics, "flowlatch_keys_stale 1") {
		t.Error("flowlatch_keys_stale is not 1 while the file is invalid")
	}
	if code, body := g.reload(t, strings.Replace(keyFile, "{id: key-a,", "{id: key-a, disabled: true,", 1)); code != 200 || !strings.Contains(body, `"generation": 2`) {
		t.Errorf("reload of a valid file = %d %s, want 200 and generation 2", code, body)
	}
	if got := g.post(t, predict+botA, secretA, ""); got != 401 {
		t.Errorf("request with a key that was disabled = %d, want 401", got)
	}
}
