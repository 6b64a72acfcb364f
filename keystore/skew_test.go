package keystore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSkewedClock takes keys away in place while the clock of the files is not that of this process: in a bubble of
// synctest it is the year 2000, and outside, where files get their times, it is not. The change must settle like any
// other, and no later.
func TestSkewedClock(t *testing.T) {
	const age = 100 * 365 * 24 * time.Hour
	for name, ahead := range map[string]time.Duration{"files of the future": 0, "files of the past": age} {
		for _, of := range []string{"keys.yaml", "api.json"} {
			t.Run(name+", "+of, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(ahead)
					testSkew(t, filepath.Join(t.TempDir(), "keys.yaml"), of)
				})
			})
		}
	}
}

// testSkew takes something away from one of the files of a store. In api.json that is its end.
func testSkew(t *testing.T, path, of string) {
	t.Helper()
	put := func(name, data string) {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := "  - {id: a, sha256: " + strings.Repeat("a", 64) + "}\n"
	file := func(keys string) string {
		return "version: 1\nflowise_api_keys: api.json\nkeys:\n  - {id: b, sha256: " + strings.Repeat("b", 64) + "}\n" + keys + "chatflows:\n  - {id: x, keys: [b]}\n"
	}
	put("keys.yaml", file(key))
	put("api.json", "[]")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	applied := func() bool { return s.Snapshot().Key("a") == nil }
	if of == "keys.yaml" {
		put(of, file(""))
	} else {
		put(of, "[")
		applied = func() bool { return s.Status().Stale }
	}
	time.Sleep(time.Second)
	if _, retryIn := s.reload(false); retryIn != settleTime || applied() {
		t.Fatalf("a change that was just seen is looked at again after %v, applied %t, want %v and not yet", retryIn, applied(), settleTime)
	}
	time.Sleep(settleTime - 1)
	if _, retryIn := s.reload(false); retryIn != 1 || applied() {
		t.Errorf("just before it has settled it is looked at again after %v, applied %t, want 1ns and not yet", retryIn, applied())
	}
	time.Sleep(time.Nanosecond)
	if _, retryIn := s.reload(false); retryIn != 0 || !applied() {
		t.Errorf("after it has settled it is looked at again after %v, applied %t, want it to be", retryIn, applied())
	}
}
