package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// invalidKeyFile is the log message about a key file with a fault.
const invalidKeyFile = "key file is invalid; the last good keys stay active"

// reload asks for a reload and returns the response.
func (g *gate) reload(t *testing.T) response {
	t.Helper()
	return send(t, http.MethodPost, g.Admin+"/-/reload", "", "")
}

// wantRevoked waits until the gate has applied, by itself, a key file in which the web key is disabled.
func (g *gate) wantRevoked(t *testing.T) {
	t.Helper()
	g.awaitPredict(t, g.web, "invalid_key")
	testkit.Eventually(t, "end of the fault", func() bool { return g.metric(t, "flowlatch_keys_stale") == 0 })
}

// revoked returns the key file with the web key disabled.
func (g *gate) revoked() string {
	return strings.Replace(g.keyFile(), "id: acme-web\n", "id: acme-web\n    disabled: true\n", 1)
}

// TestPipeAsKeyFile replaces the key file with a named pipe that nobody writes to. That is a fault like any other.
func TestPipeAsKeyFile(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())
	if err := errors.Join(syscall.Mkfifo(g.Keys+".pipe", 0o600), os.Rename(g.Keys+".pipe", g.Keys)); err != nil {
		t.Fatal(err)
	}
	g.AwaitLog(t, invalidKeyFile) // the watch
	if res := g.reload(t); res.status != http.StatusUnprocessableEntity || !strings.Contains(res.body, "it is a named pipe, not a regular file") {
		t.Errorf("reload = %d %s, want 422 and what is wrong", res.status, res.body)
	}
	lines := len(g.Logged(t, invalidKeyFile))
	g.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, "log line after SIGHUP", func() bool { return len(g.Logged(t, invalidKeyFile)) > lines })
	if stale := g.metric(t, "flowlatch_keys_stale"); stale != 1 {
		t.Errorf("flowlatch_keys_stale = %d, want 1", stale)
	}
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
		t.Errorf("predict with the last good keys = %d, want 200", res.status)
	}
	testkit.ReplaceFile(t, g.Keys, g.revoked())
	g.wantRevoked(t)
	g.WantExit(t, syscall.SIGTERM)
}

// TestWaitForPipe: a gate with --wait-for-keys does not hang if there is a pipe in the place of the key file.
func TestWaitForPipe(t *testing.T) {
	t.Parallel()
	keys := testkit.WriteFile(t, "other", "") + ".yaml"
	if err := syscall.Mkfifo(keys, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", keys, "--wait-for-keys", testkit.Timeout.String())
	if got, _ := p.AwaitLog(t, "waiting for the key file")["error"].(string); !strings.Contains(got, "it is a named pipe") {
		t.Errorf("log line of the wait = %q, want why", got)
	}
	testkit.ReplaceFile(t, keys, publicKeyFile)
	testkit.Serving(t, p).WantExit(t, syscall.SIGTERM)
}

// TestServeOddFiles starts gates with files that must not be read.
func TestServeOddFiles(t *testing.T) {
	t.Parallel()
	pipe := testkit.WriteFile(t, "keys.yaml", "") + ".pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	for name, args := range map[string][]string{
		"key file":           {"--keys", pipe},
		"settings file":      {"--keys", keys, "--config", pipe},
		"credential":         {"--keys", keys, "--upstream-authorization", "file:" + pipe},
		"certificate":        {"--keys", keys, "--tls-cert", pipe, "--tls-key", pipe},
		"CA":                 {"--keys", keys, "--client-ca", pipe},
		"chatflow's":         {"--keys", testkit.WriteFile(t, "keys.yaml", publicKeyFile+"    upstream_authorization: file:"+pipe+"\n")},
		"Flowise's key file": {"--keys", testkit.WriteFile(t, "keys.yaml", publicKeyFile+"flowise_api_keys: "+pipe+".json\n")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "Flowise's key file" {
				if err := syscall.Mkfifo(pipe+".json", 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code, _, stderr := finish(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0"}, args...)...)
			if code == exitOK || !strings.Contains(stderr, pipe) || !strings.Contains(stderr, "it is a named pipe, not a regular file") {
				t.Errorf("serve = %d, %q, want a failure that names the pipe", code, stderr)
			}
		})
	}
}

// TestEndlessInput: a file that never ends does not fill the memory of a command; a pipe is read like any other file.
func TestEndlessInput(t *testing.T) {
	t.Parallel()
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	explain := func(data string) []string {
		return []string{"explain", "POST", "/api/v1/prediction/" + webChatflow, "--keys", keys, "--data", data}
	}
	for name, args := range map[string][]string{
		"body":     explain("@/dev/zero"),
		"password": {"import", "http://127.0.0.1:1", "--user", "admin", "--password-file", "/dev/zero", "--dry-run"},
		"API key":  {"import", "http://127.0.0.1:1", "--api-key-file", "/dev/zero", "--dry-run"},
		"key file": {"key", "list", "--keys", "/dev/zero"},
	} {
		code, _, stderr := flowlatch(t, args...)
		if code == exitOK || !strings.Contains(stderr, "/dev/zero") {
			t.Errorf("%s: %q = %d, %q, want an error that names the file", name, args, code, stderr)
		}
	}
	pipe := keys + ".pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(pipe, []byte("{}"), 0o600) }()
	if code, stdout, stderr := flowlatch(t, explain("@"+pipe)...); code != exitOK {
		t.Errorf("explain with a pipe = %d, %q, %q, want 0", code, stdout, stderr)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

// TestInputThatIsWaitedFor: a command says which pipe it is waiting for, and goes on when that ends.
func TestInputThatIsWaitedFor(t *testing.T) {
	t.Parallel()
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	for name, args := range map[string][]string{
		"key file":    {"check", "--keys"},
		"password":    {"import", "http://127.0.0.1:1", "--keys", keys + ".new", "--user", "admin", "--password-file"},
		"API key":     {"import", "http://127.0.0.1:1", "--keys", keys + ".new", "--api-key-file"},
		"doctor's":    {"doctor", "--url", "http://127.0.0.1:1", "--upstream", "http://127.0.0.1:2", "--upstream-api"},
		"body":        {"explain", "POST", "/api/v1/prediction/" + webChatflow, "--keys", keys, "--data"},
		"explained's": {"explain", "POST", "/api/v1/prediction/" + webChatflow, "--keys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pipe := testkit.WriteFile(t, "other", "") + ".pipe"
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			prefix := map[string]string{"doctor's": "file:", "body": "@"}[name]
			p := start(t, nil, append(args, prefix+pipe)...)
			testkit.Eventually(t, "a note of the wait for "+pipe, func() bool { return strings.Contains(p.Stderr.String(), "waiting for the end of "+pipe+": ") })
			if err := os.WriteFile(pipe, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			p.Wait(t)
		})
	}
}

// TestPipedKeyFile: a command may read the key file from a pipe. The size limit is the same.
func TestPipedKeyFile(t *testing.T) {
	t.Parallel()
	explain := []string{"explain", "POST", "/api/v1/prediction/" + webChatflow}
	for name, tt := range map[string]struct {
		args []string
		keys string
		code int
		want string // in what is printed
	}{
		"check":             {[]string{"check"}, publicKeyFile, exitOK, webChatflow},
		"explain":           {explain, publicKeyFile, exitOK, "allow"},
		"check, a fault":    {[]string{"check"}, "version: 1\nkeys: [}\n", exitFailed, "stdin:2"},
		"check, empty":      {[]string{"check"}, "", exitFailed, "stdin"},
		"check, two faults": {[]string{"check", "--drain", "1"}, "version: 2\n", exitFailed, "--drain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), testkit.Build(t), append(tt.args, "--keys", "/dev/stdin")...)
			cmd.Stdin = io.MultiReader(strings.NewReader(tt.keys)) // not an *os.File, so that the command gets a pipe
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(string(out), tt.want) {
				t.Errorf("%s = %d, %s; want %d, %q", tt.args, code, out, tt.code, tt.want)
			}
		})
	}
	if code, _, stderr := flowlatch(t, "check", "--keys", "/dev/zero"); code == exitOK || !strings.Contains(stderr, "it is a device") {
		t.Errorf("check of a device = %d, %q, want that it is one", code, stderr)
	}
}
