package admin_test

import (
	"strings"
	"testing"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	g := newGate(t, strings.Replace(keyFile, "chatflows:\n", "  - {id: trap, secret: secret-of-honey-0123456789, honey: true}\n  - {id: quiet, secret: quiet-honey-0123456789, honey: true}\nchatflows:\n", 1), nil)
	g.post(t, predict+botA, secretA, "")
	g.post(t, predict+botA, "secret-of-honey-0123456789", "")
	g.post(t, predict+botA, "secret-expired-0123456789", "")
	metrics := g.ask("GET", "/metrics", "localhost").Body.String()
	for _, want := range []string{
		`flowlatch_keys_loaded 8`,
		`flowlatch_honey_total{key="trap"} 1`,
		`flowlatch_honey_total{key="quiet"} 0`, // so that a rate has a beginning
		`flowlatch_keys_generation 1`,
		`flowlatch_keys_reloads_total{result="success"} 1`,
		`flowlatch_keys_reloads_total{result="failure"} 0`,
		`flowlatch_keys_stale 0`,
		`flowlatch_keys_hash_info{hash="` + g.Status().KeysHash + `"} 1`,
		`flowlatch_key_expiry_timestamp_seconds{key="old"} 1.5778368e+09`,
		`flowlatch_upstream_up 1`,
		"flowlatch_keys_last_reload_success_timestamp_seconds 1.",
		`flowlatch_key_last_used_timestamp_seconds{key="key-a"} 1.`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics have no %s:\n%s", want, metrics)
		}
	}
	if strings.Contains(metrics, `flowlatch_honey_total{key="key-a"}`) {
		t.Error("a key that is no honey key has its counter")
	}
	if strings.Contains(metrics, `last_used_timestamp_seconds{key="old"}`) {
		t.Error("a key that was refused counts as used")
	}
}
