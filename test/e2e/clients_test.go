//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// program is a program by which people ask a chatflow.
type program struct {
	name          string
	command       func(key, question, streaming string) []string
	without       map[string]string // by streaming, what it shows without a valid key
	wholeStreamed bool              // shows a streamed response in one piece
}

// programs are those that people use: Flowise's TypeScript SDK, curl, and Requests for Python.
func (l *lab) programs(t *testing.T, g *testkit.Gate, chatflow string) []program {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/clients")
	if err != nil {
		t.Fatal(err)
	}
	url := g.URL + "/api/v1/prediction/" + chatflow
	return []program{
		{"curl", func(key, question, streaming string) []string {
			return []string{
				"curl", "-sN", url, "-H", "Authorization: Bearer " + key, "-H", "Content-Type: application/json",
				"-d", `{"question":"` + question + `","streaming":` + streaming + `}`,
			}
		}, map[string]string{"false": `"code":"invalid_key"`, "true": `"code":"invalid_key"`}, false},
		{"Requests", func(key, question, streaming string) []string {
			return []string{"python3", filepath.Join(script, "ask.py"), url, key, question, streaming}
		}, map[string]string{"false": "401 invalid_key", "true": "401 invalid_key"}, true},
		{"flowise-sdk", func(key, question, streaming string) []string {
			return []string{"node", filepath.Join(script, "sdk.mjs"), filepath.Join(cache, "flowise-sdk-1.0.9", "package"), g.URL, chatflow, key, question, streaming}
		}, map[string]string{"false": `"code":"invalid_key"`, "true": "HTTP error! status: 401"}, true},
	}
}

// run asks a question and returns what the program shows.
func (p *program) run(t *testing.T, key, question, streaming string) string {
	t.Helper()
	args := p.command(key, question, streaming)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(childEnv(t.TempDir()), "NO_PROXY=*")
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed { //nolint:errorlint // as Run returns it
		t.Fatal(err)
	}
	return string(out)
}

// clientPrograms asks a question by each program: it must show the response with the key, whole and streamed, and say why there
// is none without it.
func clientPrograms(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.llmOpen)
	g := l.serve(t, keys.path)
	for _, p := range l.programs(t, g, l.flows.llmOpen) {
		for _, streaming := range []string{"false", "true"} {
			t.Run(p.name+", streaming "+streaming, func(t *testing.T) {
				q := unique()
				got := p.run(t, key, q, streaming)
				if streaming == "true" && !p.wholeStreamed {
					if !strings.Contains(got, `"event":"token"`) || !strings.Contains(got, q) {
						t.Errorf("with the key: %s, want a stream of tokens with the question", got)
					}
				} else if !strings.Contains(got, reply(q)) {
					t.Errorf("with the key: %s, want %q in it", got, reply(q))
				}
				if got := p.run(t, "no-key-of-this-gate-0123456", q, streaming); !strings.Contains(got, p.without[streaming]) {
					t.Errorf("without a valid key: %s, want %q in it", got, p.without[streaming])
				}
				if n := l.llm.asked(q); n != 1 {
					t.Errorf("the model was asked %d times, want once", n)
				}
			})
		}
	}
}
