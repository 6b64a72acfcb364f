//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
)

func refusedPredictions(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	mine := keys.add(t, "mine", l.flows.llmOpen)
	other := keys.add(t, "other", l.flows.upload)
	g := l.serve(t, keys.path)

	unknown := l.keyFile(t).add(t, "mine", l.flows.llmOpen) // of the right form, but from another file
	open, unlisted, absent := l.flows.llmOpen, l.flows.fnOpen, uuid()

	var questions []string
	for _, tt := range []struct {
		name, chatflow, key string
		status              int
		code                string
	}{
		{"no key", open, "", http.StatusUnauthorized, "missing_key"},
		{"unknown key", open, unknown, http.StatusUnauthorized, "invalid_key"},
		{"mistyped key", open, mine[:len(mine)-1] + "-", http.StatusUnauthorized, "invalid_key"},
		{"key of Flowise", open, l.flows.key, http.StatusUnauthorized, "invalid_key"},
		{"key of another chatflow", open, other, http.StatusForbidden, "key_not_for_chatflow"},
		{"unlisted chatflow, no key", unlisted, "", http.StatusUnauthorized, "missing_key"},
		{"unlisted chatflow", unlisted, mine, http.StatusForbidden, "key_not_for_chatflow"},
		{"absent chatflow, no key", absent, "", http.StatusUnauthorized, "missing_key"},
		{"absent chatflow", absent, mine, http.StatusForbidden, "key_not_for_chatflow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := unique()
			questions = append(questions, q)
			r := ask(tt.chatflow, q, tt.key)
			for _, r := range []request{r, streamed(r, uuid()), asUI(r)} {
				got := send(t, g.URL, r)
				wantProblem(t, r, got, tt.status, tt.code)
				challenge := got.header.Get("WWW-Authenticate")
				if tt.status == http.StatusUnauthorized && !strings.HasPrefix(challenge, `Bearer realm="flowlatch"`) {
					t.Errorf("%v: WWW-Authenticate = %q, want a Bearer challenge of flowlatch", r, challenge)
				}
			}
		})
	}
	l.neverRan(t, open, questions...)
	l.neverRan(t, unlisted, questions...)

	q := unique()
	r := ask(open, q, mine)
	wantText(t, r, send(t, g.URL, r), reply(q))
}

// asUI adds the header by which Flowise takes a call for one of its own UI.
func asUI(r request) request {
	r.header = map[string]string{"x-request-from": "internal"}
	return r
}
