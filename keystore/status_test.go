package keystore_test

import (
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestStatusDoesNotWait asks for the status in the middle of a reload, which with many keys takes seconds,
// and from within the call that tells of it.
func TestStatusDoesNotWait(t *testing.T) {
	reading, goOn := make(chan struct{}), make(chan struct{})
	first := true
	var s *keystore.Store
	status := func() keystore.Status {
		got := make(chan keystore.Status, 1)
		go func() { got <- s.Status() }()
		select {
		case st := <-got:
			return st
		case <-time.After(10 * time.Second):
			t.Error("Status waits for the reload")
			return keystore.Status{}
		}
	}
	var told keystore.Status
	s, path := open(t, keyFile("a"), keystore.Options{
		Validate: func(*keystore.Snapshot) error {
			if !first {
				reading <- struct{}{}
				<-goOn
			}
			first = false
			return nil
		},
		OnReload: func(r keystore.Reload) {
			if r.Generation > 1 {
				told = status()
			}
		},
	})
	writeFile(t, path, keyFile("a", "b"))
	done := make(chan keystore.Reload)
	go func() { done <- s.Reload() }()
	<-reading
	if st := status(); st.Generation != 1 || len(st.Recent) != 1 || snapshotIDs(s.Snapshot()) != "a" {
		t.Errorf("in the middle of a reload: generation %d with %d reloads, want what was there before", st.Generation, len(st.Recent))
	}
	close(goOn)
	if r := <-done; r.Generation != 2 || told.Generation != 2 || len(told.Recent) != 2 {
		t.Errorf("OnReload for generation %d finds generation %d with %d reloads, want 2, 2 and 2", r.Generation, told.Generation, len(told.Recent))
	}
}
