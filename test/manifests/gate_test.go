package manifests

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

const (
	secret   = "manifests-test-secret-1"
	chatflow = "3f1c2a9e-1111-4222-8333-444455556666"
	keyFile  = `version: 1
keys:
  - id: web
    secret: ` + secret + `
    not_after: 2100-01-01T00:00:00Z
    limits: {requests: 1/1h, concurrent: 1, enforce: false}
    browser: {origins: [https://www.example.com]}
  - id: trap
    secret: ` + secret + `-honey
    honey: true
chatflows:
  - id: ` + chatflow + `
    name: support-bot
    keys: [web]
`
)

// container is how a manifest runs flowlatch.
type container struct {
	env         map[string]string
	args        []string
	keys        string   // where the directory of the key file is mounted
	files       []string // names of the key files, if the gate reads a directory of them
	healthcheck []string // the command
	redis       string   // URL of what runs here instead of the manifest's Redis; empty without one
}

// environ returns the variables that the manifest sets, with some replaced, and no others.
func (c container) environ(replaced map[string]string) (env []string) {
	all := map[string]string{}
	for k, v := range c.env {
		all[k] = v
	}
	for k, v := range replaced {
		all[k] = v
	}
	for k, v := range all {
		env = append(env, k+"="+v)
	}
	return env
}

// try runs the gate as a manifest does, but for addresses and the place of the key file, and sends it requests as clients,
// the kubelet and the healthcheck do. It returns the text of /metrics.
func try(t *testing.T, c container) string {
	t.Helper()
	keys := c.writeKeys(t)
	if len(c.args) == 0 || c.args[0] != "serve" {
		t.Fatalf("arguments = %q, want serve", c.args)
	}
	// The settings as they are, even if this machine cannot use them.
	flowlatch := testkit.Build(t)
	check := exec.Command(flowlatch, append([]string{"check"}, c.args[1:]...)...)
	check.Env = c.environ(map[string]string{"FLOWLATCH_KEYS": keys})
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("flowlatch check with the manifest's settings: %v\n%s", err, out)
	}

	upstream := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/ping" {
			fmt.Fprint(w, "pong")
			return
		}
		fmt.Fprint(w, `{"text":"Hello."}`)
	}))
	here := map[string]string{
		"FLOWLATCH_KEYS": keys, "FLOWLATCH_UPSTREAM": upstream.URL, "FLOWLATCH_LISTEN": "127.0.0.1:0", "FLOWLATCH_ADMIN": "127.0.0.1:0", "FLOWLATCH_LOG_LEVEL": "info",
	}
	if c.redis != "" {
		here["FLOWLATCH_LIMITS_REDIS"] = c.redis
	}
	gate := testkit.Serving(t, testkit.Start(t, flowlatch, c.environ(here), c.args...))
	if c.redis != "" {
		gate.AwaitLog(t, "limits and usage are shared through Redis")
	}

	healthcheck := exec.Command(flowlatch, c.healthcheck[1:]...)
	healthcheck.Env = c.environ(map[string]string{"FLOWLATCH_ADMIN": strings.TrimPrefix(gate.Admin, "http://")})
	if out, err := healthcheck.CombinedOutput(); err != nil || c.healthcheck[0] != "/flowlatch" {
		t.Errorf("%q: %v\n%s", c.healthcheck, err, out)
	}
	if https := c.env["FLOWLATCH_TLS_CERT"] != ""; strings.HasPrefix(gate.URL, "https://") != https {
		t.Errorf("URL of the gate = %s, want HTTPS %t", gate.URL, https)
	}
	const predict = "/api/v1/prediction/" + chatflow
	for _, call := range []struct {
		name, method, path, key string
		status                  int
		body                    string
	}{
		{"the kubelet", "GET", "/api/v1/ping", "", 200, "pong"},
		{"no key", "POST", predict, "", 401, "missing_key"},
		{"the key", "POST", predict, secret, 200, "Hello."},
		{"the key, beyond a limit that is not enforced", "POST", predict, secret, 200, "Hello."},
		{"a browser token, without saying for what", "POST", "/-/token", secret, 400, "chatflow"},
		{"another chatflow", "POST", "/api/v1/prediction/ffffffff-ffff-4fff-8fff-ffffffffffff", secret, 403, "key_not_for_chatflow"},
		{"not exposed", "GET", "/api/v1/chatflows", secret, 404, "not_exposed"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), call.method, gate.URL+call.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if call.key != "" {
			req.Header.Set("Authorization", "Bearer "+call.key)
		}
		if status, body := do(t, req); status != call.status || !strings.Contains(body, call.body) {
			t.Errorf("%s: %d %s, want %d with %q", call.name, status, body, call.status, call.body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gate.Admin+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	status, metrics := do(t, req)
	if status != http.StatusOK {
		t.Errorf("/metrics = %d, want 200", status)
	}
	gate.WantExit(t, syscall.SIGTERM)
	return metrics
}

// writeKeys writes what the gate reads, and returns its path: the key file at the default place in what is mounted, or a
// directory of key files.
func (c container) writeKeys(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if c.files == nil {
		if def := helpKeys.FindStringSubmatch(help(t, "serve")); def == nil || filepath.Dir(def[1]) != c.keys || c.env["FLOWLATCH_KEYS"] != "" {
			t.Errorf("the key file is at %q and the directory mounted at %s", def, c.keys)
		}
		write("keys.yaml", keyFile)
		return filepath.Join(dir, "keys.yaml")
	}
	write(c.files[0], keyFile)
	for _, name := range c.files[1:] {
		write(name, "version: 1\nkeys: [{id: key-of-"+name+", secret: secret-of-"+name+"}]\n")
	}
	return dir
}

func do(t *testing.T, req *http.Request) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
