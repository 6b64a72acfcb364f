package watch

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLimitedHangs has an operation that does not end. It is given up in time, and others on the path fail at once until
// it has ended. After that, all is as before.
func TestLimitedHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var calls atomic.Int64
		hung, discarded := make(chan int), make(chan int, 1)
		operation := func() (int, error) {
			calls.Add(1)
			return <-hung, nil
		}
		if _, err := limited("a", operation, func(v int) { discarded <- v }); !errors.Is(err, ErrTimeout) || time.Since(began) != Timeout {
			t.Fatalf("limited = %v after %v, want %v after %v", err, time.Since(began), ErrTimeout, Timeout)
		}
		for range 100 {
			if _, err := limited("a", operation, nil); !errors.Is(err, ErrTimeout) {
				t.Fatalf("limited beside one that hangs = %v, want %v", err, ErrTimeout)
			}
		}
		if waited := time.Since(began); calls.Load() != 1 || waited != Timeout {
			t.Errorf("operations = %d after %v, want 1 after %v", calls.Load(), waited, Timeout)
		}
		if v, err := limited("b", func() (int, error) { return 1, io.EOF }, nil); v != 1 || !errors.Is(err, io.EOF) {
			t.Errorf("limited on another path = %d, %v, want 1, %v", v, err, io.EOF)
		}
		hung <- 7
		if v := <-discarded; v != 7 {
			t.Errorf("discarded = %d, want 7", v)
		}
		if v, err := limited("a", func() (int, error) { return 2, nil }, nil); v != 2 || err != nil {
			t.Errorf("limited after the end of the one that hung = %d, %v, want 2", v, err)
		}
		if len(inProgress.operations) != 0 {
			t.Errorf("operations in progress = %v, want none", inProgress.operations)
		}
	})
}

// TestLimitedOneByOne has many operations on a path at once. Only one runs at a time, and if it hangs, none of those that
// wait for it waits longer than its own time limit.
func TestLimitedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all sync.WaitGroup
		var now, most, done atomic.Int64
		for range 50 {
			all.Go(func() {
				_, err := limited("a", func() (int, error) {
					most.Store(max(most.Load(), now.Add(1)))
					time.Sleep(time.Millisecond)
					now.Add(-1)
					return 0, nil
				}, nil)
				if err == nil {
					done.Add(1)
				}
			})
		}
		all.Wait()
		if most.Load() != 1 || done.Load() != 50 {
			t.Errorf("operations at once = %d, done = %d, want 1 and 50", most.Load(), done.Load())
		}

		began, hung := time.Now(), make(chan struct{})
		var started, failed atomic.Int64
		for range 50 {
			all.Go(func() {
				if _, err := limited("a", func() (int, error) { started.Add(1); <-hung; return 0, nil }, nil); errors.Is(err, ErrTimeout) {
					failed.Add(1)
				}
			})
		}
		all.Wait()
		if waited := time.Since(began); started.Load() != 1 || failed.Load() != 50 || waited != Timeout {
			t.Errorf("operations that hang = %d, failed = %d after %v, want 1 and 50 after %v", started.Load(), failed.Load(), waited, Timeout)
		}
		close(hung)
	})
}
