//go:build e2e

package e2e

import (
	"bytes"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// keyFile is a key file that flowlatch's own commands edit.
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

// serve starts flowlatch in front of Flowise and waits until it is ready.
func (l *lab) serve(t *testing.T, keys string, flags ...string) *testkit.Gate {
	t.Helper()
	g := testkit.Serving(t, testkit.Start(t, l.binary, nil, append([]string{
		"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", l.flowise.url, "--keys", keys, "--log-format", "json",
	}, flags...)...))
	t.Cleanup(func() {
		if !g.Ended() {
			g.WantExit(t, syscall.SIGTERM)
		}
		l.checkLog(t, g)
	})
	testkit.Eventually(t, "flowlatch is ready", func() bool {
		return send(t, g.Admin, request{method: http.MethodGet, path: "/readyz"}).status == http.StatusOK
	})
	return g
}

// checkLog fails the test unless the log is JSON, line by line, and free of secrets.
func (l *lab) checkLog(t *testing.T, g *testkit.Gate) {
	t.Helper()
	g.Log(t)
	for _, secret := range append(l.secrets, l.flows.key) {
		if strings.Contains(g.Stdout.String()+g.Stderr.String(), secret) {
			t.Error("flowlatch logged a secret")
		}
	}
}
