package header

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestConnectionNamesManyHeaders has many headers and a Connection header that names more: looking up each of these
// among all of the others takes minutes, and still a hundred milliseconds for as many as a client without a key can
// send.
func TestConnectionNamesManyHeaders(t *testing.T) {
	t.Parallel()
	const headers = 20_000
	h := http.Header{"X-Kept": {"yes"}, "X-Last": {"no"}}
	for i := range headers {
		h["X-"+strconv.Itoa(i)] = []string{"kept"}
	}
	done := make(chan struct{})
	go func() {
		removeListed(h, []string{strings.Repeat("close,", 10*headers), "x-LAST"})
		close(done)
	}()
	select {
	case <-done:
		if len(h) != headers+1 || h.Get("X-Kept") != "yes" || len(h["X-Last"]) != 0 {
			t.Errorf("removeListed left %d headers, X-Kept %q, X-Last %q, want all but X-Last", len(h), h["X-Kept"], h["X-Last"])
		}
	case <-time.After(20 * time.Second):
		t.Error("removeListed took more than 20 s")
	}
}
