//go:build e2e

package e2e

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// abort ends a response of two steps while the model is at the first: the second must not begin.
func abort(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.twoSteps)
	other := keys.add(t, "other", l.flows.fnOpen)
	var flags []string
	if l.flowise.is2() {
		// Up to 3.0 Flowise wants one of its API keys here; from 3.1.0 the route is open.
		file := filepath.Join(t.TempDir(), "flowise-key")
		writeFile(t, file, l.flows.key)
		flags = []string{"--upstream-authorization", "file:" + file}
	}
	g := l.serve(t, keys.path, flags...)

	ask := func(question, chatID string) *stream {
		return openStream(t, g.URL, streamed(ask(l.flows.twoSteps, question, key), chatID))
	}
	whole := unique()
	text, events := ask(whole, uuid()).rest(t)
	if steps := l.llm.asked(whole); steps != 2 || text != reply(whole) || slices.Contains(events, "abort") {
		t.Fatalf("left alone, the chatflow took %d steps to %q %q, want 2 to %q", steps, text, events, reply(whole))
	}

	q, chatID := unique(), uuid()
	release := l.llm.hold(t, q)
	s := ask(q, chatID)
	testkit.EventuallyWithin(t, 10*time.Second, "the model is asked", func() bool { return l.llm.asked(q) == 1 })

	r := request{method: http.MethodPut, path: "/api/v1/chatmessage/abort/" + l.flows.twoSteps + "/" + chatID}
	wantProblem(t, r, send(t, g.URL, r), http.StatusUnauthorized, "missing_key")
	r.key = other
	wantProblem(t, r, send(t, g.URL, r), http.StatusForbidden, "key_not_for_chatflow")
	r.key = key
	r = asUI(r) // were this header passed on, a 2.x would ask for a password instead
	if got := send(t, g.URL, r); got.status != http.StatusOK {
		t.Fatalf("%v = %v, want 200", r, got)
	}
	release()
	text, events = s.rest(t)
	if steps := l.llm.asked(q); steps != 1 || text != "" || !slices.Contains(events, "abort") {
		t.Errorf("after the abort: %d steps, %q, events %q, want 1 step, no text and an abort", steps, text, events)
	}
}
