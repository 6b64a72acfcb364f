//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"
)

func drain(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "caller", l.flows.llmOpen)
	g := l.serve(t, keys.path, "--drain", "20s")

	q := unique()
	release := l.llm.hold(t, q)
	s := openStream(t, g.url, streamed(ask(l.flows.llmOpen, q, key), uuid()))
	first := s.firstToken(t)

	g.proc.signal(t, syscall.SIGTERM)
	eventually(t, 5*time.Second, "flowlatch says it is not ready", func() bool {
		r := request{method: http.MethodGet, path: "/readyz"}
		res, err := open(t, client, g.admin, r)
		if err != nil {
			t.Fatalf("%v while draining: %v", r, err)
		}
		return whole(t, r, res).status == http.StatusServiceUnavailable
	})
	late := ask(l.flows.llmOpen, unique(), key)
	if res, err := open(t, client, g.url, late); err == nil {
		wantProblem(t, late, whole(t, late, res), http.StatusServiceUnavailable, "draining")
	}
	if !g.proc.running() {
		t.Fatal("flowlatch ended with a stream open")
	}

	release()
	rest, events := s.rest(t)
	if got := first + rest; got != reply(q) || !slices.Contains(events, "end") {
		t.Errorf("the open stream went on to %q %q, want %q and an end", got, events, reply(q))
	}
	eventually(t, 10*time.Second, "flowlatch ends after its last stream", func() bool { return !g.proc.running() })
	if g.proc.code != 0 {
		t.Errorf("flowlatch ended with status %d, want 0", g.proc.code)
	}
}
