package keystore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// run runs the store until the test ends or stop is called.
func run(t *testing.T, s *keystore.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func TestRunReloads(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		poll time.Duration
	}{{"by event", time.Hour}, {"by poll or event", 5 * time.Millisecond}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var told reloads
			s, path := open(t, keyFile("a"), keystore.Options{Poll: test.poll, OnReload: told.add})
			run(t, s)
			// The watch begins some time after Run does, so go on until it notices.
			n := 0
			testkit.Eventually(t, "the first change", func() bool {
				if n++; n%20 == 1 {
					replaceFile(t, path, keyFile("a", "b")+strings.Repeat("#\n", n))
				}
				return s.Status().Generation > 1
			})
			g := s.Status().Generation
			replaceFile(t, path, keyFile("c"))
			testkit.Eventually(t, "another file", func() bool { return snapshotIDs(s.Snapshot()) == "c" })
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "the file's end", func() bool { return s.Status().Stale })
			if got := snapshotIDs(s.Snapshot()); got != "c" {
				t.Errorf("without the file the keys are %q, want c", got)
			}
			replaceFile(t, path, keyFile("d"))
			testkit.Eventually(t, "the file's return", func() bool { return snapshotIDs(s.Snapshot()) == "d" && !s.Status().Stale })
			if got := s.Status().Generation; got < g+2 {
				t.Errorf("generation %d, want at least %d", got, g+2)
			}
		})
	}
}

// A fault is reported once, however many polls find it. So are the next fault, and the end of it.
func TestRunTellsOnce(t *testing.T) {
	t.Parallel()
	var told reloads
	var looks atomic.Int64
	s, path := open(t, keyFile("a"), keystore.Options{Poll: 2 * time.Millisecond, OnReload: told.add, Validate: func(n *keystore.Snapshot) error {
		looks.Add(1)
		if n.Key("a") == nil {
			return fmt.Errorf("%d keys and none is a", len(n.Keys()))
		}
		return nil
	}})
	run(t, s)
	failed := func(text string) func() bool {
		return func() bool { return strings.Contains(fmt.Sprint(s.Status().Err), text) }
	}
	replaceFile(t, path, keyFile("b"))
	testkit.Eventually(t, "the first fault", failed("1 keys"))
	since := looks.Load()
	testkit.Eventually(t, "ten polls", func() bool { return looks.Load() >= since+10 })
	replaceFile(t, path, keyFile("b", "c"))
	testkit.Eventually(t, "the second fault", failed("2 keys"))
	replaceFile(t, path, "version: 7\n")
	testkit.Eventually(t, "the third fault", failed(`version "7"`))
	replaceFile(t, path, keyFile("b", "c"))
	testkit.Eventually(t, "the second fault again", failed("2 keys"))
	replaceFile(t, path, keyFile("a"))
	testkit.Eventually(t, "the end of the faults", func() bool { return !s.Status().Stale })
	// A reload that is not explicit and finds nothing new is not reported.
	before := s.Status().LastSuccess
	testkit.Eventually(t, "polls after it", func() bool { return s.Status().LastSuccess.After(before.Add(20 * time.Millisecond)) })
	want := []string{
		"1 success", "1 failure: 1 keys and none is a", "1 failure: 2 keys and none is a",
		"1 failure: " + path + `:1: version "7" is not known; this gate reads ` + "`version: 1`",
		"1 failure: 2 keys and none is a", "2 success",
	}
	if diff := cmp.Diff(want, told.results()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if got, want := s.Status().Reloads, map[keystore.Result]uint64{keystore.Loaded: 2, keystore.Failed: 4}; !cmp.Equal(got, want) {
		t.Errorf("Reloads = %v, want %v", got, want)
	}
}

// replaceFile puts another file in the place of the one at path, so that no look can find half of it.
func replaceFile(t *testing.T, path, data string) {
	t.Helper()
	next := filepath.Join(t.TempDir(), "next")
	writeFile(t, next, data)
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// While the file is edited, reloaded and read at once, readers see one snapshot or the next.
func TestConcurrentReload(t *testing.T) {
	t.Parallel()
	s, path := open(t, keyFile("k0"), keystore.Options{Poll: time.Millisecond})
	run(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for last := 0; ctx.Err() == nil; {
				snapshot := s.Snapshot()
				n := len(snapshot.Keys())
				if n < last {
					t.Errorf("%d keys after %d: an older snapshot came back", n, last)
					return
				}
				last = n
				newest := fmt.Sprint("k", n-1)
				m := snapshot.Match(keystore.DigestOf(secret(newest)), time.Now())
				if m.Validity != keystore.Valid || !snapshot.Opens(m.Key, "x") {
					t.Errorf("of %d keys %s is %v", n, newest, m.Validity)
					return
				}
				s.Status()
			}
		})
	}
	const edits = 25
	ids := []string{"k0"}
	for i := range edits {
		ids = append(ids, fmt.Sprint("k", i+1))
		replaceFile(t, path, keyFile(ids...))
		readers.Go(func() { s.Reload() })
	}
	testkit.Eventually(t, "the last key", func() bool { return len(s.Snapshot().Keys()) == edits+1 })
	stop()
	readers.Wait()
}

// Run ends when its context does, and by then everything that it started has ended.
func TestRunLeavesNothingBehind(t *testing.T) {
	for _, state := range []string{"good", "faulty", "gone"} {
		s, path := open(t, keyFile("a"), keystore.Options{Poll: time.Millisecond})
		stop := run(t, s)
		replaceFile(t, path, keyFile("b")) // renamed, so that the next change is applied at once
		testkit.Eventually(t, "a look", func() bool { return snapshotIDs(s.Snapshot()) == "b" })
		switch state {
		case "faulty":
			replaceFile(t, path, "-")
		case "gone":
			if err := os.RemoveAll(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Eventually(t, state, func() bool { return s.Status().Stale == (state != "good") })
		stop()
		// A goroutine may take a moment to go away after its last statement.
		testkit.Eventually(t, "the end of all that Run started", func() bool { return !running(t, "keystore/watch.", "fsnotify.") })
	}
}

// running reports whether a goroutine is in one of the packages.
func running(t *testing.T, packages ...string) bool {
	t.Helper()
	var stacks strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(packages, func(p string) bool { return strings.Contains(stacks.String(), p) })
}

// A store can be reloaded if Run was never called, and after Run has ended.
func TestReloadAfterRun(t *testing.T) {
	s, path := open(t, keyFile("a"), keystore.Options{Poll: time.Millisecond})
	run(t, s)()
	writeFile(t, path, keyFile("b"))
	if r := s.Reload(); r.Result != keystore.Loaded || snapshotIDs(s.Snapshot()) != "b" {
		t.Errorf("Reload = %s, %v with %s, want b loaded", r.Result, r.Err, snapshotIDs(s.Snapshot()))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over before it began"))
	s.Run(ctx) // must return
}
