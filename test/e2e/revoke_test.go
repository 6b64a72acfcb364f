//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

func revocation(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	leaving := keys.add(t, "leaving", l.flows.fnOpen, l.flows.llmOpen)
	staying := keys.add(t, "staying", l.flows.fnOpen)
	g := l.serve(t, keys.path)

	held := unique()
	release := l.llm.hold(t, held)
	s := openStream(t, g.URL, streamed(ask(l.flows.llmOpen, held, leaving), uuid()))
	first := s.firstToken(t)

	q := unique()
	r := ask(l.flows.fnOpen, q, leaving)
	wantText(t, r, send(t, g.URL, r), echo(q))

	keys.revoke(t, "leaving")
	testkit.EventuallyWithin(t, 3*time.Second, "the revoked key is refused", func() bool {
		return send(t, g.URL, ask(l.flows.fnOpen, unique(), leaving)).status == http.StatusUnauthorized
	})
	q = unique()
	r = ask(l.flows.fnOpen, q, leaving)
	wantProblem(t, r, send(t, g.URL, r), http.StatusUnauthorized, "invalid_key")
	l.neverRan(t, l.flows.fnOpen, q)

	q = unique()
	r = ask(l.flows.fnOpen, q, staying)
	wantText(t, r, send(t, g.URL, r), echo(q))

	release()
	rest, events := s.rest(t)
	if got := first + rest; got != reply(held) || !slices.Contains(events, "end") {
		t.Errorf("the open stream went on to %q %q, want %q and an end", got, events, reply(held))
	}
}
