package keystore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// faults remembers what Wait reported.
type faults struct {
	mu   sync.Mutex
	list []string
}

func (f *faults) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, err.Error())
}

// saw reports whether there are n faults, the last of which has the text.
func (f *faults) saw(n int, text string) func() bool {
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.list) == n && strings.Contains(f.list[n-1], text)
	}
}

// TestWait goes from no directory over faulty files to a good one. Each fault is reported once.
func TestWait(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys", "keys.yaml")
	var told faults
	opened := make(chan *keystore.Store, 1)
	go func() {
		s, err := keystore.Wait(t.Context(), path, keystore.Options{Poll: 5 * time.Millisecond}, told.add)
		if err != nil {
			t.Error(err)
		}
		opened <- s
	}()
	testkit.Eventually(t, "no file", told.saw(1, "does not exist"))
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	replaceFile(t, path, "# not yet\n")
	testkit.Eventually(t, "only comments", told.saw(2, "only comments"))
	replaceFile(t, path, "version: 2\n")
	testkit.Eventually(t, "another version", told.saw(3, `version "2"`))
	select {
	case s := <-opened:
		t.Fatalf("Wait = %v with a faulty file", s)
	default:
	}
	replaceFile(t, path, keyFile("a"))
	select {
	case s := <-opened:
		if got := snapshotIDs(s.Snapshot()); got != "a" || s.Status().Generation != 1 {
			t.Errorf("keys %q in generation %d, want a in 1", got, s.Status().Generation)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Wait goes on with a good file")
	}
	if !told.saw(3, `version "2"`)() {
		t.Errorf("told of %q, want three faults", told.list)
	}
}

// TestWaitEnds: whoever stops waiting is told what was wrong.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.yaml")
	ctx, cancel := context.WithCancel(t.Context())
	var told faults
	s, err := keystore.Wait(ctx, path, keystore.Options{Poll: time.Millisecond}, func(err error) { told.add(err); cancel() })
	if s != nil || err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("Wait = %v, %v, want no store and the fault", s, err)
	}
	writeFile(t, path, keyFile("a"))
	s, err = keystore.Wait(ctx, path, keystore.Options{}, told.add)
	if err != nil || snapshotIDs(s.Snapshot()) != "a" {
		t.Errorf("Wait with a good file = %v, want it at once, whatever the context", err)
	}
}

// TestWaitStopsAtTheFirst makes the next look due while the first good file is read. Nothing may replace the store that
// is made from that file.
func TestWaitStopsAtTheFirst(t *testing.T) {
	t.Parallel()
	const poll = time.Millisecond
	for range 3 { // package watch tests it more often
		path := filepath.Join(t.TempDir(), "keys.yaml")
		var opened int
		s, err := keystore.Wait(t.Context(), path, keystore.Options{Poll: poll, Validate: func(*keystore.Snapshot) error {
			if opened++; opened > 1 {
				return errors.New("looked at again")
			}
			<-time.After(5 * poll) // the next look is due by then
			return nil
		}}, func(error) {
			if opened == 0 {
				writeFile(t, path, keyFile("a"))
			}
		})
		if s == nil || err != nil || opened != 1 {
			t.Fatalf("Wait = %v, %v after %d good files, want the store of the first", s, err, opened)
		}
	}
}
