package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// minute returns the commands of README's "60 seconds", without the build.
func minute(t *testing.T) (lines []string) {
	t.Helper()
	_, text, _ := strings.Cut(page(t, "README.md"), "\n## 60 seconds")
	text, _, _ = strings.Cut(text, "\n## ")
	for i, block := range strings.Split(text, "```") {
		if i%2 == 0 {
			continue
		}
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "./flowlatch ") || strings.HasPrefix(line, "curl ") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// TestReadmeMinute does what a new user does with README's first commands, in their order: each must do what the text
// says, given what the commands before it have done.
func TestReadmeMinute(t *testing.T) {
	t.Parallel()
	runner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(runner.Close)
	dir := t.TempDir()
	secret := filepath.Join(dir, "acme-web.secret")
	url, admin := "", ""
	adapt := func(line string) string {
		return strings.NewReplacer(
			"./flowlatch", testkit.Build(t), "./keys.yaml", filepath.Join(dir, "keys.yaml"), "--out acme-web.secret", "--out "+secret,
			"http://127.0.0.1:3000", runner.URL, "--log-format console", "", "$URL", url, "$CHATFLOW", webChatflow,
		).Replace(line)
	}
	secretOf := func() string {
		b, err := os.ReadFile(secret)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	ask := func(key string) response { return send(t, http.MethodPost, url, key, `{"question":"Hello?"}`) }
	done := map[string]int{}
	for _, line := range minute(t) {
		words := strings.Fields(line)
		switch {
		case words[0] == "curl":
			done["curl"]++
			key, want := "", http.StatusUnauthorized
			if strings.Contains(line, `-H "$KEY"`) {
				key, want = secretOf(), http.StatusOK
			}
			if a := ask(key); a.status != want {
				t.Errorf("%s\n= %d %s, want %d", line, a.status, a.body, want)
			}
		case words[1] == "serve":
			done["serve"]++
			g := testkit.Serving(t, start(t, []string{"FLOWLATCH_LISTEN=127.0.0.1:0", "FLOWLATCH_ADMIN=127.0.0.1:0"}, strings.Fields(adapt(line))[1:]...))
			admin = strings.TrimPrefix(g.Admin, "http://")
			url = g.URL + "/api/v1/prediction/" + webChatflow
		default:
			name := words[1]
			if name == "key" {
				name = words[2]
			}
			done[name]++
			cmd := exec.Command("sh", "-c", adapt(line))
			cmd.Env = append(os.Environ(), "GORACE="+testkit.RaceOptions)
			if admin != "" {
				cmd.Env = append(cmd.Env, "FLOWLATCH_ADMIN="+admin)
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s\n= %v\n%s", line, err, out)
			}
			if name == "revoke" {
				testkit.Eventually(t, "end of the key", func() bool { return ask(secretOf()).code() == "invalid_key" })
			}
			if name == "enable" {
				testkit.Eventually(t, "return of the key", func() bool { return ask(secretOf()).status == http.StatusOK })
			}
		}
	}
	if want := map[string]int{"curl": 2, "serve": 1, "explain": 1, "new": 1, "revoke": 1, "enable": 1}; !maps.Equal(done, want) {
		t.Errorf("commands of README = %v, want %v", done, want)
	}
}
