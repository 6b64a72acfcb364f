package proxy

import (
	"strconv"
	"testing"
)

// TestCreatedForgets notes more than is kept. The newest are known, the oldest are forgotten, and memory is bounded.
func TestCreatedForgets(t *testing.T) {
	t.Parallel()
	var c created
	if _, known := c.chatflow("0"); known {
		t.Error("an ID is known before anything was noted")
	}
	const last = 5*maxCreated + 7
	for i := range last + 1 {
		c.note(strconv.Itoa(i), "of "+strconv.Itoa(i))
		if n := len(c.recent) + len(c.older); n > 2*maxCreated {
			t.Fatalf("%d are kept, want at most %d", n, 2*maxCreated)
		}
	}
	for i, want := range map[int]bool{last: true, last - maxCreated: true, last - 2*maxCreated: false, 0: false} {
		chatflow, known := c.chatflow(strconv.Itoa(i))
		if known != want || known && chatflow != "of "+strconv.Itoa(i) {
			t.Errorf("chatflow(%d) = %q, %t, want known %t", i, chatflow, known, want)
		}
	}
	c.note("", "nothing")
	if _, known := c.chatflow(""); known {
		t.Error("no ID is known, want never: it stands for requests that name nothing")
	}
}
