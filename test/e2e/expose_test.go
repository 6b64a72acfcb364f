//go:build e2e

package e2e

import (
	"net/http"
	"testing"
)

func notExposed(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.fnOpen)
	g := l.serve(t, keys.path)

	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	id := l.flows.fnOpen
	for _, r := range []request{
		{method: get, path: "/"},
		{method: get, path: "/index.html"},
		{method: get, path: "/chatbot/" + id},
		{method: get, path: "/canvas/" + id},
		{method: get, path: "/api/v1/chatflows"},
		{method: get, path: "/api/v1/chatflows/" + id},
		{method: put, path: "/api/v1/chatflows/" + id},
		{method: del, path: "/api/v1/chatflows/" + id},
		{method: get, path: "/api/v1/chatflows/apikey/" + l.flows.key},
		{method: get, path: "/api/v1/apikey"},
		{method: get, path: "/api/v1/verify/apikey/" + l.flows.key},
		{method: get, path: "/api/v1/credentials"},
		{method: get, path: "/api/v1/chatmessage/" + id},
		{method: get, path: "/api/v1/internal-chatmessage/" + id},
		{method: post, path: "/api/v1/internal-prediction/" + id},
		{method: get, path: "/api/v1/flow-config/" + id},
		{method: get, path: "/api/v1/public-chatflows/" + id},
		{method: get, path: "/api/v1/public-chatbotConfig/" + id}, // widget, not exposed here
		{method: get, path: "/api/v1/feedback/" + id},
		{method: get, path: "/api/v1/leads/" + id},
		{method: post, path: "/api/v1/vector/upsert/" + id},
		{method: post, path: "/api/v1/openai-assistants-file/download"},
		{method: post, path: "/api/v1/node-load-method/customMCP"},
		{method: post, path: "/api/v1/account/register"},
		{method: get, path: "/api/v1/metrics"},
		{method: get, path: "/metrics"},
		{method: get, path: "/admin/queues"},
		{method: get, path: "/socket.io/"},
	} {
		r = asUI(r)
		wantProblem(t, r, send(t, g.URL, r), http.StatusNotFound, "not_exposed")
		r.key = key
		wantProblem(t, r, send(t, g.URL, r), http.StatusNotFound, "not_exposed")
	}
}

func widgetRoutes(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.fnOpen)
	g := l.serve(t, keys.path, "--expose", "predict,widget")

	r := request{method: http.MethodGet, path: "/api/v1/public-chatbotConfig/" + l.flows.fnOpen}
	wantProblem(t, r, send(t, g.URL, r), http.StatusUnauthorized, "missing_key")
	r.key = key
	if got := send(t, g.URL, r); got.status != http.StatusOK {
		t.Errorf("%v = %v, want 200", r, got)
	}
	r.path = "/api/v1/public-chatbotConfig/" + l.flows.llmOpen
	wantProblem(t, r, send(t, g.URL, r), http.StatusForbidden, "key_not_for_chatflow")

	q := unique()
	r = ask(l.flows.fnOpen, q, key)
	wantText(t, r, send(t, g.URL, r), echo(q))
}
