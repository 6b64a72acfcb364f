package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestTimedWriter writes to a pipe that nobody reads, and to one that somebody does.
func TestTimedWriter(t *testing.T) {
	t.Parallel()
	stuck, w := io.Pipe()
	defer stuck.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fmt.Fprint(timedWriter{w}, "nobody reads this")
	}()
	select {
	case <-done:
	case <-time.After(testkit.Timeout):
		t.Error("the writer waits for a reader that does not read")
	}
	var text strings.Builder
	fmt.Fprint(timedWriter{&text}, "somebody reads this")
	if text.String() != "somebody reads this" {
		t.Errorf("written = %q, want all", text.String())
	}
}
