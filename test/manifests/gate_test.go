package manifests

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	secret   = "manifests-test-secret-1"
	chatflow = "3f1c2a9e-1111-4222-8333-444455556666"
	keyFile  = `version: 1
keys:
  - id: web
    secret: ` + secret + `
    not_after: 2100-01-01T00:00:00Z
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
	healthcheck []string // the command that asks how the gate is
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

// try runs the gate as a manifest does, but for addresses and the place of the key file, and calls it as
// callers, the kubelet and the healthcheck do. It returns what /metrics said.
func try(t *testing.T, c container) string {
	t.Helper()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.yaml")
	if err := os.WriteFile(keys, []byte(keyFile), 0o444); err != nil {
		t.Fatal(err)
	}
	if def := helpKeys.FindStringSubmatch(help(t, "serve")); def == nil || filepath.Dir(def[1]) != c.keys || c.env["FLOWLATCH_KEYS"] != "" {
		t.Errorf("the key file is at %q and the directory mounted at %s", def, c.keys)
	}
	if len(c.args) == 0 || c.args[0] != "serve" {
		t.Fatalf("arguments = %q, want serve", c.args)
	}
	// The settings as they are, whether they can be used here or not.
	check := exec.Command(flowlatch, append([]string{"check"}, c.args[1:]...)...)
	check.Env = c.environ(map[string]string{"FLOWLATCH_KEYS": keys})
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("flowlatch check with the manifest's settings: %v\n%s", err, out)
	}

	runner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/ping" {
			fmt.Fprint(w, "pong")
			return
		}
		fmt.Fprint(w, `{"text":"Hello."}`)
	}))
	t.Cleanup(runner.Close)
	gate := exec.Command(flowlatch, c.args...)
	gate.Env = c.environ(map[string]string{"FLOWLATCH_KEYS": keys, "FLOWLATCH_UPSTREAM": runner.URL, "FLOWLATCH_LISTEN": "127.0.0.1:0", "FLOWLATCH_ADMIN": "127.0.0.1:0", "FLOWLATCH_LOG_LEVEL": "info"})
	stderr, err := gate.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gate.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { _ = gate.Process.Kill() })
	t.Cleanup(func() { stuck.Stop(); _ = gate.Process.Kill() })

	var serving struct{ Message, Listen, Admin string }
	var said []string
	lines := bufio.NewScanner(stderr)
	for serving.Message != "serving" {
		if !lines.Scan() {
			t.Fatalf("the gate ended: %s", strings.Join(said, "\n"))
		}
		said = append(said, lines.Text())
		_ = json.Unmarshal(lines.Bytes(), &serving)
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, stderr) }()

	ask := exec.Command(flowlatch, c.healthcheck[1:]...)
	ask.Env = c.environ(map[string]string{"FLOWLATCH_ADMIN": serving.Admin})
	if out, err := ask.CombinedOutput(); err != nil || c.healthcheck[0] != "/flowlatch" {
		t.Errorf("%q: %v\n%s", c.healthcheck, err, out)
	}
	predict, scheme := "/api/v1/prediction/"+chatflow, "http://"
	if c.env["FLOWLATCH_TLS_CERT"] != "" {
		scheme = "https://"
	}
	for _, call := range []struct {
		name, method, path, key string
		status                  int
		body                    string
	}{
		{"the kubelet", "GET", "/api/v1/ping", "", 200, "pong"},
		{"no key", "POST", predict, "", 401, "missing_key"},
		{"the key", "POST", predict, secret, 200, "Hello."},
		{"not exposed", "GET", "/api/v1/chatflows", secret, 404, "not_exposed"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), call.method, scheme+serving.Listen+call.path, http.NoBody)
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
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+serving.Admin+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	status, metrics := do(t, req)
	if status != http.StatusOK {
		t.Errorf("/metrics = %d, want 200", status)
	}
	if err := gate.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-drained
	if err := gate.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit code 0", err)
	}
	return metrics
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
