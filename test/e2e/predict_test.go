//go:build e2e

package e2e

import (
	"slices"
	"testing"
)

func wholePrediction(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "caller", l.flows.fnOpen, l.flows.llmOpen)
	g := l.serve(t, keys.path)

	q := unique()
	r := ask(l.flows.fnOpen, q, key)
	wantText(t, r, send(t, g.url, r), echo(q))
	r = ask(l.flows.llmOpen, q, key)
	wantText(t, r, send(t, g.url, r), reply(q))
}

// streamedPrediction reads the first word while the model keeps the second back: a gate that collects an answer before
// it sends it would never get to the end of this.
func streamedPrediction(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "caller", l.flows.llmOpen)
	g := l.serve(t, keys.path)

	q := unique()
	release := l.llm.hold(t, q)
	s := openStream(t, g.url, streamed(ask(l.flows.llmOpen, q, key), uuid()))
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
