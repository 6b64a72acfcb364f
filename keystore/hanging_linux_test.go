package keystore_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// TestFlowiseFileHangs revokes our own key while Flowise's file hangs. That is applied, and the last keys of Flowise
// stay. Once the file can be read again, its content is applied.
func TestFlowiseFileHangs(t *testing.T) {
	t.Parallel()
	path, api := withFlowise(t, usesFlowise, apiJSON("Web "+flowiseA+" "+secretA, "Batch "+flowiseB+" "+secretB))
	s, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.SetTimeout(api, 200*time.Millisecond)
	lease := testkit.TakeLease(t, api)
	testkit.ReplaceFile(t, path, strings.Replace(usesFlowise, "{id: own,", "{id: own, disabled: true,", 1))
	for range 3 {
		r := s.Reload()
		if st := s.Status(); !errors.Is(r.Err, watch.ErrTimeout) && !strings.Contains(r.Err.Error(), watch.ErrTimeout.Error()) || !st.Stale || st.Generation != 2 {
			t.Errorf("Reload = %s, %v in generation %d, want the change of the key file, and %v", r.Result, r.Err, st.Generation, watch.ErrTimeout)
		}
	}
	if opens(s, "our-own-secret-0123456789") || !opens(s, secretA) || !opens(s, secretB) {
		t.Error("while Flowise's file hangs: want our own key revoked, and those of Flowise as they were")
	}
	lease.Write(t, apiJSON("Batch "+flowiseB+" "+secretB))
	lease.Release(t)
	testkit.Eventually(t, "end of the fault", func() bool { return s.Reload().Err == nil })
	if opens(s, secretA) || !opens(s, secretB) || s.Status().Stale {
		t.Errorf("after it: stale = %t, want the keys that are in the file", s.Status().Stale)
	}
}

// TestFileOfDirectoryHangs revokes a key while another file hangs. That delays it once, and not again.
func TestFileOfDirectoryHangs(t *testing.T) {
	t.Parallel()
	hangs := testkit.WriteFile(t, "a.yaml", keyFileFor("x", "key-a"))
	path := filepath.Join(filepath.Dir(hangs), "b.yaml")
	testkit.ReplaceFile(t, path, keyFileFor("y", "key-b", "key-c"))
	s, err := keystore.Open(filepath.Dir(hangs), keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.SetTimeout(hangs, 200*time.Millisecond)
	lease := testkit.TakeLease(t, hangs)
	for _, ids := range []string{"key-b", "key-c"} {
		testkit.ReplaceFile(t, path, keyFileFor("y", ids))
		r := s.Reload()
		if got := snapshotIDs(s.Snapshot()); got != "key-a "+ids || r.Err == nil || !strings.Contains(r.Err.Error(), hangs+`": `+watch.ErrTimeout.Error()) {
			t.Errorf("Reload = %v with keys %s, want key-a and %s, and that %s hangs", r.Err, got, ids, hangs)
		}
	}
	lease.Write(t, keyFileFor("x", "key-d"))
	lease.Release(t)
	testkit.Eventually(t, "end of the fault", func() bool { return s.Reload().Err == nil })
	if got := snapshotIDs(s.Snapshot()); got != "key-d key-c" {
		t.Errorf("keys after it = %s, want key-d key-c", got)
	}
}
