package header

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestConnectionNamesManyHeaders sends many headers and a Connection header that names even more. Searching all headers
// for each name would take minutes. Even for as many as a client without a key can send, it would take a tenth of a
// second.
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

// FuzzConnection: whatever Connection says, neither it nor any header that it names passes, and all others do. Only the
// headers that say how to read a request's body cannot be removed in this way.
func FuzzConnection(f *testing.F) {
	for _, connection := range []string{"", "close", "X-Kept", "keep-alive, x-kept", ",,X-KEPT\t,", "x-kept;q=1", "\"X-Kept\"", "content-type", "X Kept", "X-Kept,upgrade"} {
		f.Add(connection, "X-Kept")
		f.Add(connection, "Content-Type")
	}
	f.Fuzz(func(t *testing.T, connection, name string) {
		if name = http.CanonicalHeaderKey(name); dropsFromRequest(name) || route.Flowise().DropsHeader(name) || name == "Set-Cookie" || name == "Alt-Svc" {
			return
		}
		listed := slices.ContainsFunc(strings.Split(connection, ","), func(item string) bool { return strings.EqualFold(strings.Trim(item, " \t"), name) })
		in := func() http.Header { return http.Header{"Connection": {connection}, name: {"value"}} }
		request, response := ForUpstream(in(), route.Flowise()), in()
		CleanResponse(response, false)
		if want := !listed || name == "Content-Type" || name == "Content-Encoding"; len(request) > 1 || (len(request) == 1) != want {
			t.Errorf("ForUpstream of %s and Connection %q = %v, want it there: %t", name, connection, request, want)
		}
		if want := !listed || name == exposeHeaders; len(response) > 1 || (len(response) == 1) != want {
			t.Errorf("CleanResponse of %s and Connection %q = %v, want it there: %t", name, connection, response, want)
		}
	})
}
