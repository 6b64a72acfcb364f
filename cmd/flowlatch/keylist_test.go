package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
)

// TestListLastUse checks that key list shows when keys were last used according to the gate with this key file, and
// that it does not mistake another gate's times for those.
func TestListLastUse(t *testing.T) {
	t.Parallel()
	g, other := startGate(t, newEcho()), startGate(t, newEcho())
	g.awaitPredict(t, g.web, "")
	admin := strings.TrimPrefix(g.Admin, "http://")
	stdout, stderr := g.keyCommand(t, exitOK, "list", "--admin", admin, "--json")
	var keys []listedKey
	if err := json.Unmarshal([]byte(stdout), &keys); err != nil || stderr != "" {
		t.Fatalf("key list --json = %s, %q, %v", stdout, stderr, err)
	}
	used := 0
	for _, k := range keys {
		if !k.LastUsed.IsZero() {
			used++
		}
		if (k.ID == "acme-web") == k.LastUsed.IsZero() {
			t.Errorf("key list says that %s was last used at %v", k.ID, k.LastUsed)
		}
	}
	if stdout, _ = g.keyCommand(t, exitOK, "list", "--admin", admin); used != 1 || !strings.Contains(stdout, "  LAST USED  ") {
		t.Errorf("key list = %s, want the last use of acme-web", stdout)
	}
	stdout, stderr = g.keyCommand(t, exitOK, "list", "--admin", strings.TrimPrefix(other.Admin, "http://"))
	if strings.Contains(stdout, "LAST USED") || !strings.Contains(stderr, "has not applied "+g.Keys+" as it is now") {
		t.Errorf("key list with another gate = %s, %q, want no last use, and a note", stdout, stderr)
	}
	// A gate that nobody has named counts only if it has this key file.
	store, err := keystore.Open(g.Keys, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]int{g.Admin: 1, other.Admin: 0} {
		var notes strings.Builder
		got := lastUses(&config.Config{Admin: strings.TrimPrefix(address, "http://"), Keys: g.Keys}, store.Snapshot(), streams{err: &notes})
		if len(got) != want || notes.Len() > 0 {
			t.Errorf("last uses by a gate that is not named = %v, %q, want %d and no note", got, notes.String(), want)
		}
	}
	// A key that is in use is not deleted by mistake.
	if _, stderr = g.keyCommand(t, exitFailed, "delete", "--id", "acme-web", "--close", "--admin", admin); !strings.Contains(stderr, `key "acme-web" was used at `) {
		t.Errorf("key delete of a key in use = %q, want when it was used", stderr)
	}
}
