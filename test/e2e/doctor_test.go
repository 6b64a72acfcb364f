//go:build e2e

package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// examined runs `flowlatch doctor` against a gate in front of Flowise, and against Flowise without one.
func examined(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.fnOpen, l.flows.llmKeyed)
	g := l.serve(t, keys.path, "--expose", "predict,widget,upsert,mcp,webhook")
	doctor := func(url string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), l.binary, append([]string{"doctor", "--url", url, "--admin", strings.TrimPrefix(g.Admin, "http://"), "--keys", keys.path}, args...)...)
		cmd.Env = childEnv(t.TempDir())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	upstream := strings.Replace(l.flowise.url, "127.0.0.1", "localhost", 1)
	credential := t.TempDir() + "/flowise.key"
	writeFile(t, credential, l.flows.key+"\n")
	for _, stream := range []bool{false, true} { // what Flowise says to a request without the key that the chatflow has there
		g := l.serve(t, keys.path)
		r := ask(l.flows.llmKeyed, unique(), key)
		if stream {
			openStream(t, g.URL, streamed(r, uuid())).rest(t)
		} else if got := send(t, g.URL, r); got.status != http.StatusInternalServerError {
			t.Errorf("%v without its key forwarded = %v, want Flowise's 500", r, got)
		}
		testkit.Eventually(t, "hint in the log", func() bool {
			return strings.Contains(g.Stderr.String(), `"hint":"the upstream was sent no credential, and wants the key that the chatflow still has in Flowise; `)
		})
	}

	want := []string{
		"none of ", "belongs to the gate at " + g.URL, "the gate has applied " + keys.path, upstream + " is the gate's upstream",
		"chatflow " + l.flows.llmKeyed + ` ("llm keyed") still has a key in Flowise, and the gate sends none`,
	}
	if !l.flowise.is2() {
		want = append(want, "route vector-upsert is exposed (group upsert), and the upstream itself responds 401 there", "route mcp is exposed (group mcp), and the upstream itself responds 401 there")
	}
	out, err := doctor(g.URL, "--upstream", upstream, "--upstream-api", "file:"+credential)
	for _, text := range want {
		if err != nil || !strings.Contains(out, text) {
			t.Errorf("doctor of the gate: %v, want nothing open, and %q\n%s", err, text, out)
		}
	}
	if strings.Contains(out, l.flows.fnKeyed) {
		t.Errorf("doctor of the gate names %s, which the gate lets nobody use:\n%s", l.flows.fnKeyed, out)
	}
	if out, err := doctor(l.flowise.url); err == nil || strings.Count(out, "OPEN") < 10 {
		t.Errorf("doctor of Flowise itself: %v, want many open findings\n%s", err, out)
	}
}
