package keystore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestStatusDoesNotWait asks for the status during a reload, which takes seconds with many keys, and from within
// OnReload.
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

// TestManyFaults has a file with a fault on every line, as a faulty generator writes it. A store reports only the first
// faults, since they go into a log line at each reload; whoever opens the file gets all.
func TestManyFaults(t *testing.T) {
	const n = 1000
	faulty := "version: 1\nchatflows:\n" + strings.Repeat("- {}\n", n)
	s, path := open(t, keyFile("a"), keystore.Options{})
	writeFile(t, path, faulty)
	err := s.Reload().Err
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != 21 || !strings.HasPrefix(lines[0], path+":3: ") || !strings.HasSuffix(lines[20], " more; `flowlatch check --all` shows all") {
		t.Errorf("Reload = %d faults, want 20 and how many more there are; the last is %q", len(lines), lines[len(lines)-1])
	}
	if st := s.Status(); fmt.Sprint(st.Err) != fmt.Sprint(err) || fmt.Sprint(st.Recent[0].Err) != fmt.Sprint(err) {
		t.Error("Status has another fault than Reload")
	}
	if _, err := keystore.Open(path, keystore.Options{}); strings.Count(fmt.Sprint(err), "\n") < n-1 {
		t.Errorf("Open = %d faults, want at least %d", strings.Count(fmt.Sprint(err), "\n")+1, n)
	}
}

// TestManyFaultsAtStart has the same file while a gate waits for its keys: each fault that Wait reports goes into a log
// line.
func TestManyFaultsAtStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	writeFile(t, path, "version: 1\nchatflows:\n"+strings.Repeat("- {}\n", 1000))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := keystore.Wait(ctx, path, keystore.Options{}, func(err error) {
		if lines := strings.Count(err.Error(), "\n") + 1; lines != 21 {
			t.Errorf("Wait tells of %d faults, want 20 and how many more there are", lines)
		}
		cancel()
	})
	if err == nil {
		t.Error("Wait = no error")
	}
}

// TestSince asks in which generation each key last changed, through reloads that add, change, move and leave out keys.
func TestSince(t *testing.T) {
	s, path := open(t, keyFile("a", "b", "c"), keystore.Options{})
	rotated := strings.Replace(keyFile("a", "b", "c", "d"), digest("b"), digest("another"), 1)
	for _, step := range []struct{ name, content, want string }{
		{"at the start", "", "a1 b1 c1"},
		{"one added", keyFile("a", "b", "c", "d"), "a1 b1 c1 d2"},
		{"one changed", rotated, "a1 b3 c1 d2"},
		{"a comment", rotated + "# nothing\n", "a1 b3 c1 d2"},
		{"one gone, others moved", keyFile("d", "c", "a"), "d2 c1 a1"},
		{"it is back", keyFile("d", "b", "c", "a"), "d2 b6 c1 a1"},
	} {
		if step.content != "" {
			writeFile(t, path, step.content)
			if r := s.Reload(); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		var got []string
		for _, k := range s.Snapshot().Keys() {
			got = append(got, fmt.Sprint(k.ID, k.Since()))
		}
		if strings.Join(got, " ") != step.want {
			t.Errorf("%s: keys are as they are since %q, want %q", step.name, got, step.want)
		}
	}
}
