//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clientPrograms asks a question by programs that people use: Flowise's TypeScript SDK, curl, and Requests for Python. Each
// must show the response with the key, whole and streamed, and say why there is none without it.
func clientPrograms(t *testing.T, l *lab) {
	keys := l.keyFile(t)
	key := keys.add(t, "client", l.flows.llmOpen)
	g := l.serve(t, keys.path)
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/clients")
	if err != nil {
		t.Fatal(err)
	}
	url := g.URL + "/api/v1/prediction/" + l.flows.llmOpen
	curl := func(key, streaming string) []string {
		return []string{
			"curl", "-sN", url, "-H", "Authorization: Bearer " + key, "-H", "Content-Type: application/json",
			"-d", `{"question":"QUESTION","streaming":` + streaming + `}`,
		}
	}
	for _, tt := range []struct {
		name          string
		command       func(key, streaming string) []string
		without       map[string]string // by streaming, what it shows without a valid key
		wholeStreamed bool              // shows a streamed response in one piece
	}{
		{"curl", curl, map[string]string{"false": `"code":"invalid_key"`, "true": `"code":"invalid_key"`}, false},
		{"Requests", func(key, streaming string) []string {
			return []string{"python3", filepath.Join(script, "ask.py"), url, key, "QUESTION", streaming}
		}, map[string]string{"false": "401 invalid_key", "true": "401 invalid_key"}, true},
		{"flowise-sdk", func(key, streaming string) []string {
			return []string{"node", filepath.Join(script, "sdk.mjs"), filepath.Join(cache, "flowise-sdk-1.0.9", "package"), g.URL, l.flows.llmOpen, key, "QUESTION", streaming}
		}, map[string]string{"false": `"code":"invalid_key"`, "true": "HTTP error! status: 401"}, true},
	} {
		for _, streaming := range []string{"false", "true"} {
			t.Run(tt.name+", streaming "+streaming, func(t *testing.T) {
				q := unique()
				run := func(key string) string {
					args := tt.command(key, streaming)
					for i := range args {
						args[i] = strings.Replace(args[i], "QUESTION", q, 1)
					}
					cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
					cmd.Env = append(childEnv(t.TempDir()), "NO_PROXY=*")
					out, err := cmd.CombinedOutput()
					if _, failed := err.(*exec.ExitError); err != nil && !failed { //nolint:errorlint // as Run returns it
						t.Fatal(err)
					}
					return string(out)
				}
				got := run(key)
				if streaming == "true" && !tt.wholeStreamed {
					if !strings.Contains(got, `"event":"token"`) || !strings.Contains(got, q) {
						t.Errorf("with the key: %s, want a stream of tokens with the question", got)
					}
				} else if !strings.Contains(got, reply(q)) {
					t.Errorf("with the key: %s, want %q in it", got, reply(q))
				}
				if got := run("no-key-of-this-gate-0123456"); !strings.Contains(got, tt.without[streaming]) {
					t.Errorf("without a valid key: %s, want %q in it", got, tt.without[streaming])
				}
				if n := l.llm.asked(q); n != 1 {
					t.Errorf("the model was asked %d times, want once", n)
				}
			})
		}
	}
}
