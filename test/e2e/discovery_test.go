//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
)

func discover(chatflow, key string) request {
	return request{method: http.MethodGet, path: "/api/v1/chatflows-streaming/" + chatflow, key: key}
}

// wantStreaming fails the test unless the response says whether a chatflow can stream.
func wantStreaming(t *testing.T, r request, got response, want bool) {
	t.Helper()
	var a struct {
		IsStreaming *bool `json:"isStreaming"`
	}
	if err := json.Unmarshal(got.body, &a); err != nil || got.status != http.StatusOK || a.IsStreaming == nil || *a.IsStreaming != want {
		t.Errorf("%v = %v, want 200 and isStreaming %t", r, got, want)
	}
}

// openDiscovery makes the calls of flowise-sdk 1.0.9 and of the Python SDK, in their order: whether the chatflow streams,
// without a key, and then the prediction with one.
func openDiscovery(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.llmOpen, l.flows.fnOpen)
	g := l.serve(t, keys.path)

	r := discover(l.flows.llmOpen, "")
	wantStreaming(t, r, send(t, g.URL, r), true)
	q := unique()
	text, _ := openStream(t, g.URL, streamed(ask(l.flows.llmOpen, q, key), uuid())).rest(t)
	if text != reply(q) {
		t.Errorf("streamed %q, want %q", text, reply(q))
	}

	r = discover(l.flows.fnOpen, "")
	wantStreaming(t, r, send(t, g.URL, r), false)
	q = unique()
	r = ask(l.flows.fnOpen, q, key)
	wantText(t, r, send(t, g.URL, r), echo(q))

	r = discover(l.flows.upload, "") // not listed
	wantProblem(t, r, send(t, g.URL, r), http.StatusUnauthorized, "missing_key")
}

func keyedDiscovery(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.llmOpen)
	g := l.serve(t, keys.path, "--discovery", "keyed")

	r := discover(l.flows.llmOpen, "")
	wantProblem(t, r, send(t, g.URL, r), http.StatusUnauthorized, "missing_key")
	r.key = key
	wantStreaming(t, r, send(t, g.URL, r), true)
}
