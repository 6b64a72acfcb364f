package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// keyCommand runs a key command on the gate's key file, and returns what it printed.
func (g *gate) keyCommand(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	args = append(append([]string{"key"}, args...), "--keys", g.Keys)
	code, stdout, stderr := finish(t, args...)
	if code != want {
		t.Fatalf("flowlatch %q = %d, %q, want %d", args, code, stderr, want)
	}
	return stdout, stderr
}

// awaitPredict waits until a prediction with a key gets an answer with a code; "" is an allowed one's.
func (g *gate) awaitPredict(t *testing.T, key, code string) answer {
	t.Helper()
	var a answer
	testkit.Eventually(t, "answer "+code, func() bool {
		a = g.predict(t, webChatflow, key)
		return a.code() == code && (code != "" || a.status == http.StatusOK)
	})
	return a
}

// TestNewKeyWhileServing checks that keys come and go without a word to the gate.
func TestNewKeyWhileServing(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())
	stdout, stderr := g.keyCommand(t, exitOK, "new", "--id", "late", "--chatflow", webChatflow)
	secret := strings.TrimSuffix(stdout, "\n")
	if !secretLine.MatchString(stdout) || strings.Contains(stderr, secret) {
		t.Fatalf("key new = %q, %q, want a secret alone on stdout", stdout, stderr)
	}
	g.awaitPredict(t, secret, "")
	if a := g.predict(t, webChatflow, g.web); a.status != http.StatusOK {
		t.Errorf("predict with the old key = %d, want 200", a.status)
	}
	if a := g.predict(t, batchChatflow, secret); a.code() != "key_not_for_chatflow" {
		t.Errorf("predict of another chatflow with the new key = %d %q, want key_not_for_chatflow", a.status, a.code())
	}

	// A key that was used a moment ago is not revoked by mistake.
	admin := strings.TrimPrefix(g.Admin, "http://")
	if _, stderr = g.keyCommand(t, exitFailed, "revoke", "--id", "late", "--admin", admin); !strings.Contains(stderr, `key "late" was used at `) || !strings.Contains(stderr, "--force") {
		t.Errorf("key revoke of a key in use = %q, want when it was used, and --force", stderr)
	}
	if a := g.predict(t, webChatflow, secret); a.status != http.StatusOK {
		t.Errorf("predict after a revocation that was refused = %d, want 200", a.status)
	}
	// The other one was not used at all.
	if _, stderr = g.keyCommand(t, exitOK, "revoke", "--id", "batch", "--admin", admin); strings.Contains(stderr, "gate") {
		t.Errorf("key revoke of a key that is not in use = %q, want no word of the gate", stderr)
	}
	g.keyCommand(t, exitOK, "revoke", "--id", "late", "--admin", admin, "--force")
	g.awaitPredict(t, secret, "invalid_key")
	if a := g.predict(t, webChatflow, g.web); a.status != http.StatusOK {
		t.Errorf("predict with the other key = %d, want 200", a.status)
	}
	g.WantExit(t, syscall.SIGTERM)
}

// TestRotateWhileServing checks that both secrets are good until the overlap is over, and that callers
// with the old one are told.
func TestRotateWhileServing(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())
	if a := g.predict(t, webChatflow, g.web); a.header.Get("Deprecation") != "" || a.header.Get("Sunset") != "" {
		t.Errorf("headers before a rotation = %v, want no Deprecation and no Sunset", a.header)
	}
	stdout, _ := g.keyCommand(t, exitOK, "rotate", "--id", "acme-web", "--overlap", "1h")
	second := strings.TrimSuffix(stdout, "\n")
	if a := g.awaitPredict(t, second, ""); a.header.Get("Deprecation") != "" || a.header.Get("Sunset") != "" {
		t.Errorf("headers with the new secret = %v, want no Deprecation and no Sunset", a.header)
	}
	if a := g.awaitPredict(t, g.web, ""); !strings.HasPrefix(a.header.Get("Deprecation"), "@") || a.header.Get("Sunset") == "" {
		t.Errorf("headers with the old secret = %v, want Deprecation and Sunset", a.header)
	}

	stdout, _ = g.keyCommand(t, exitOK, "rotate", "--id", "acme-web", "--overlap", "0")
	third := strings.TrimSuffix(stdout, "\n")
	g.awaitPredict(t, third, "")
	for name, secret := range map[string]string{"first": g.web, "second": second} {
		if a := g.predict(t, webChatflow, secret); a.code() != "invalid_key" {
			t.Errorf("predict with the %s secret after its end = %d %q, want invalid_key", name, a.status, a.code())
		}
	}
	g.WantExit(t, syscall.SIGTERM)
}

// TestRevokeAndStreams checks that a stream outlives its key unless it was asked that none does.
func TestRevokeAndStreams(t *testing.T) {
	t.Parallel()
	for _, cut := range []bool{false, true} {
		t.Run(map[bool]string{false: "finish", true: "cut"}[cut], func(t *testing.T) {
			t.Parallel()
			runner := newStream()
			args := []string{"--cut-streams-on-revoke"}
			if !cut {
				args = nil
			}
			g := startGate(t, runner, args...)
			events := openStream(t, g, runner)
			g.keyCommand(t, exitOK, "revoke", "--id", "acme-web", "--force")
			// The runner has no answer for another request, so none may get through: wait for the log.
			testkit.Eventually(t, "revocation in force", func() bool { return len(g.Logged(t, "the key file is in force")) == 2 })
			if a := g.predict(t, webChatflow, g.web); a.code() != "invalid_key" {
				t.Errorf("predict with a revoked key = %d %q, want invalid_key", a.status, a.code())
			}
			if !cut {
				runner.send(t, events, "second")
				close(runner.events)
				if rest, err := io.ReadAll(events); err != nil || len(rest) > 0 {
					t.Errorf("end of the stream = %q, %v, want a clean one", rest, err)
				}
				return
			}
			if rest, err := io.ReadAll(events); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
				t.Errorf("end of a stream whose key was revoked = %q, %v, want an error", rest, err)
			}
			testkit.Eventually(t, "log line of the stream", func() bool {
				for _, line := range g.Logged(t, "request") {
					if line["stream"] == true && line["code"] == "key_revoked" {
						return true
					}
				}
				return false
			})
		})
	}
}
