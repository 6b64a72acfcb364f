//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

func drain(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.llmOpen)
	g := l.serve(t, keys.path, "--drain", "20s")

	q := unique()
	release := l.llm.hold(t, q)
	s := openStream(t, g.URL, streamed(ask(l.flows.llmOpen, q, key), uuid()))
	first := s.firstToken(t)

	g.Signal(t, syscall.SIGTERM)
	testkit.EventuallyWithin(t, 5*time.Second, "flowlatch says it is not ready", func() bool {
		r := request{method: http.MethodGet, path: "/readyz"}
		res, err := open(t, client, g.Admin, r)
		if err != nil {
			t.Fatalf("%v while draining: %v", r, err)
		}
		return whole(t, r, res).status == http.StatusServiceUnavailable
	})
	late := ask(l.flows.llmOpen, unique(), key)
	if res, err := open(t, client, g.URL, late); err == nil {
		wantProblem(t, late, whole(t, late, res), http.StatusServiceUnavailable, "draining")
	}
	if g.Ended() {
		t.Fatal("flowlatch ended with a stream open")
	}

	release()
	rest, events := s.rest(t)
	if got := first + rest; got != reply(q) || !slices.Contains(events, "end") {
		t.Errorf("the open stream went on to %q %q, want %q and an end", got, events, reply(q))
	}
	if code := g.Wait(t); code != 0 {
		t.Errorf("exit code after the last stream = %d, want 0", code)
	}
}
