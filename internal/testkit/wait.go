package testkit

import (
	"testing"
	"time"
)

// Timeout is how long a test waits for something that must happen: long, since only a failing test waits that long, and
// a busy machine may take a while.
const Timeout = time.Minute

// Eventually waits until holds returns true. After Timeout it fails the test, with a message that what did not happen.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	EventuallyWithin(t, Timeout, what, holds)
}

// EventuallyWithin is Eventually with a timeout of its own.
func EventuallyWithin(t testing.TB, timeout time.Duration, what string, holds func() bool) {
	t.Helper()
	if !Poll(timeout, holds) {
		t.Fatalf("not within %s: %s", timeout, what)
	}
}

// Poll reports whether holds returned true within the timeout.
func Poll(timeout time.Duration, holds func() bool) bool {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for pause := time.Millisecond; !holds(); pause = min(2*pause, 8*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-deadline.C:
			return false
		}
	}
	return true
}
