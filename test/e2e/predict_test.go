//go:build e2e

package e2e

import (
	"slices"
	"testing"
)

func wholePrediction(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.fnOpen, l.flows.llmOpen)
	g := l.serve(t, keys.path)

	q := unique()
	r := ask(l.flows.fnOpen, q, key)
	wantText(t, r, send(t, g.URL, r), echo(q))
	r = ask(l.flows.llmOpen, q, key)
	wantText(t, r, send(t, g.URL, r), reply(q))
}

// streamedPrediction reads the first word while the model holds back the second. A gate that buffers responses would never
// send it.
func streamedPrediction(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.llmOpen)
	g := l.serve(t, keys.path)

	q := unique()
	release := l.llm.hold(t, q)
	s := openStream(t, g.URL, streamed(ask(l.flows.llmOpen, q, key), uuid()))
	first := s.firstToken(t)
	release()
	rest, events := s.rest(t)

	if got := first + rest; got != reply(q) || first == got {
		t.Errorf("streamed %q, then %q, want %q in more than one piece", first, rest, reply(q))
	}
	if want := []string{"token", "token", "metadata", "end"}; !slices.Equal(events, want) {
		t.Errorf("events after the first token = %q, want %q", events, want)
	}
}
