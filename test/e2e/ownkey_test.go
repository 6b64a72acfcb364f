//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// forwardedKey has a client use the key that Flowise itself assigned to the chatflow.
func forwardedKey(t *testing.T, l *lab) {
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	writeFile(t, keys, fmt.Sprintf(`version: 1
keys:
  - id: flowise-own
    sha256: %x
chatflows:
  - id: %s
    keys: [flowise-own]
    upstream_authorization: forward
  - id: %s
    keys: [flowise-own]
`, sha256.Sum256([]byte(l.flows.key)), l.flows.fnKeyed, l.flows.llmKeyed))
	g := l.serve(t, keys)

	q := unique()
	r := ask(l.flows.fnKeyed, q, l.flows.key)
	wantText(t, r, send(t, g.URL, r), echo(q))

	r = ask(l.flows.fnKeyed, unique(), "")
	wantProblem(t, r, send(t, g.URL, r), http.StatusUnauthorized, "missing_key")

	// If the key is not forwarded, Flowise responds with 500.
	q = unique()
	r = ask(l.flows.llmKeyed, q, l.flows.key)
	if got := send(t, g.URL, r); got.status != http.StatusInternalServerError {
		t.Errorf("%v without its key forwarded = %v, want Flowise's 500", r, got)
	}
	l.neverRan(t, l.flows.llmKeyed, q)
}

// keyFromFile has a client with a key of flowlatch, in front of a Flowise that requires its own.
func keyFromFile(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.fnKeyed, l.flows.llmKeyed)
	upstream := filepath.Join(t.TempDir(), "flowise-key")
	writeFile(t, upstream, "not-yet-the-right-one\n")
	g := l.serve(t, keys.path, "--upstream-authorization", "file:"+upstream)

	q := unique()
	r := ask(l.flows.fnKeyed, q, key)
	if got := send(t, g.URL, r); got.status != http.StatusInternalServerError {
		t.Errorf("%v with a wrong key in the file = %v, want Flowise's 500", r, got)
	}
	l.neverRan(t, l.flows.fnKeyed, q)

	writeFile(t, upstream, l.flows.key+"\n")
	testkit.EventuallyWithin(t, 5*time.Second, "the right key in the file is used", func() bool {
		return send(t, g.URL, r).status == http.StatusOK
	})
	q = unique()
	r = ask(l.flows.fnKeyed, q, key)
	wantText(t, r, send(t, g.URL, r), echo(q))
	q = unique()
	text, _ := openStream(t, g.URL, streamed(ask(l.flows.llmKeyed, q, key), uuid())).rest(t)
	if text != reply(q) {
		t.Errorf("streamed %q, want %q", text, reply(q))
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
