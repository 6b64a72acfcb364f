//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// build returns the flowlatch binary under test: FLOWLATCH_BIN, or one built now.
func build(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("FLOWLATCH_BIN"); binary != "" {
		return binary
	}
	binary := filepath.Join(t.TempDir(), "flowlatch")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/flowlatch")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building flowlatch: %v\n%s", err, out)
	}
	return binary
}

// keyFile is a key file that is edited by flowlatch's own commands.
type keyFile struct {
	lab  *lab
	path string
}

func (l *lab) keyFile(t *testing.T) keyFile {
	t.Helper()
	return keyFile{l, filepath.Join(t.TempDir(), "keys.yaml")}
}

var secretForm = regexp.MustCompile(`^fl_[0-9A-Za-z]{38}\n$`)

// add makes a key that opens the chatflows and returns its secret.
func (k keyFile) add(t *testing.T, id string, chatflows ...string) string {
	t.Helper()
	args := []string{"key", "new", "--keys", k.path, "--id", id}
	for _, c := range chatflows {
		args = append(args, "--chatflow", c)
	}
	out := k.command(t, args...)
	if !secretForm.MatchString(out) {
		t.Fatalf("flowlatch %s printed %q, want a secret alone", strings.Join(args, " "), out)
	}
	secret := strings.TrimSpace(out)
	k.lab.secrets = append(k.lab.secrets, secret)
	return secret
}

func (k keyFile) revoke(t *testing.T, id string) {
	t.Helper()
	k.command(t, "key", "revoke", "--keys", k.path, "--id", id)
}

// command runs flowlatch and returns its standard output.
func (k keyFile) command(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), k.lab.binary, args...)
	cmd.Env = childEnv(t.TempDir())
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("flowlatch %s: %v\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return string(out)
}

// gate is a running flowlatch.
type gate struct {
	url, admin string
	proc       *process
}

// serve starts flowlatch before Flowise and waits until it is ready.
func (l *lab) serve(t *testing.T, keys string, flags ...string) *gate {
	t.Helper()
	data, admin := freeAddr(t), freeAddr(t)
	g := &gate{url: "http://" + data, admin: "http://" + admin}
	g.proc = start(t, "flowlatch", append([]string{
		l.binary, "serve", "--listen", data, "--admin", admin, "--upstream", l.flowise.url, "--keys", keys, "--log-format", "json",
	}, flags...)...)
	t.Cleanup(func() {
		g.proc.stop()
		l.checkLog(t, g.proc)
		if t.Failed() {
			t.Logf("the end of flowlatch's log:\n%s", g.proc.tail(40))
		}
	})
	eventually(t, 10*time.Second, "flowlatch is ready", func() bool {
		if !g.proc.running() {
			t.Fatalf("flowlatch serve ended with status %d", g.proc.code)
		}
		return g.ready(t)
	})
	return g
}

// checkLog fails the test unless the log is JSON, line by line, and free of secrets.
func (l *lab) checkLog(t *testing.T, p *process) {
	t.Helper()
	log, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(log) {
		if !json.Valid(line) {
			t.Errorf("flowlatch logged %q, want JSON", line)
		}
	}
	for _, secret := range append(l.secrets, l.flows.key) {
		if bytes.Contains(log, []byte(secret)) {
			t.Error("flowlatch logged a secret")
		}
	}
}

// ready reports what the gate tells the one who asks whether to send it requests.
func (g *gate) ready(t *testing.T) bool {
	t.Helper()
	res, err := open(t, client, g.admin, request{method: http.MethodGet, path: "/readyz"})
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}
