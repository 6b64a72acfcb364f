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

// awaitPredict waits until a prediction with a key gets a response with an error code, or status 200 if code is "".
func (g *gate) awaitPredict(t *testing.T, key, code string) response {
	t.Helper()
	var res response
	testkit.Eventually(t, "response "+code, func() bool {
		res = g.predict(t, webChatflow, key)
		return res.code() == code && (code != "" || res.status == http.StatusOK)
	})
	return res
}

// TestNewKeyWhileServing checks that the gate applies new and revoked keys by itself.
func TestNewKeyWhileServing(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())
	stdout, stderr := g.keyCommand(t, exitOK, "new", "--id", "late", "--chatflow", webChatflow)
	secret := strings.TrimSuffix(stdout, "\n")
	if !secretLine.MatchString(stdout) || strings.Contains(stderr, secret) {
		t.Fatalf("key new = %q, %q, want a secret alone on stdout", stdout, stderr)
	}
	g.awaitPredict(t, secret, "")
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
		t.Errorf("predict with the old key = %d, want 200", res.status)
	}
	if res := g.predict(t, batchChatflow, secret); res.code() != "key_not_for_chatflow" {
		t.Errorf("predict of another chatflow with the new key = %d %q, want key_not_for_chatflow", res.status, res.code())
	}

	// A key that is in use is not revoked without --force.
	admin := strings.TrimPrefix(g.Admin, "http://")
	if _, stderr = g.keyCommand(t, exitFailed, "revoke", "--id", "late", "--admin", admin); !strings.Contains(stderr, `key "late" was used at `) || !strings.Contains(stderr, "--force") {
		t.Errorf("key revoke of a key in use = %q, want when it was used, and --force", stderr)
	}
	if res := g.predict(t, webChatflow, secret); res.status != http.StatusOK {
		t.Errorf("predict after a revocation that was refused = %d, want 200", res.status)
	}
	// The other key was never used.
	if _, stderr = g.keyCommand(t, exitOK, "revoke", "--id", "batch", "--admin", admin); strings.Contains(stderr, "gate") {
		t.Errorf("key revoke of a key that is not in use = %q, want nothing about the gate", stderr)
	}
	g.keyCommand(t, exitOK, "revoke", "--id", "late", "--admin", admin, "--force")
	g.awaitPredict(t, secret, "invalid_key")
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
		t.Errorf("predict with the other key = %d, want 200", res.status)
	}
	g.WantExit(t, syscall.SIGTERM)
}

// TestRotateWhileServing checks that both secrets are accepted until the overlap ends, and that clients with the old one
// are told by headers.
func TestRotateWhileServing(t *testing.T) {
	t.Parallel()
	g := startGate(t, newEcho())
	if res := g.predict(t, webChatflow, g.web); res.header.Get("Deprecation") != "" || res.header.Get("Sunset") != "" {
		t.Errorf("headers before a rotation = %v, want no Deprecation and no Sunset", res.header)
	}
	stdout, _ := g.keyCommand(t, exitOK, "rotate", "--id", "acme-web", "--overlap", "1h")
	second := strings.TrimSuffix(stdout, "\n")
	if res := g.awaitPredict(t, second, ""); res.header.Get("Deprecation") != "" || res.header.Get("Sunset") != "" {
		t.Errorf("headers with the new secret = %v, want no Deprecation and no Sunset", res.header)
	}
	if res := g.awaitPredict(t, g.web, ""); !strings.HasPrefix(res.header.Get("Deprecation"), "@") || res.header.Get("Sunset") == "" {
		t.Errorf("headers with the old secret = %v, want Deprecation and Sunset", res.header)
	}

	stdout, _ = g.keyCommand(t, exitOK, "rotate", "--id", "acme-web", "--overlap", "0")
	third := strings.TrimSuffix(stdout, "\n")
	g.awaitPredict(t, third, "")
	for name, secret := range map[string]string{"first": g.web, "second": second} {
		if res := g.predict(t, webChatflow, secret); res.code() != "invalid_key" {
			t.Errorf("predict with the %s secret after the overlap = %d %q, want invalid_key", name, res.status, res.code())
		}
	}
	g.WantExit(t, syscall.SIGTERM)
}

// TestRevokeAndStreams checks that a stream outlives its key, unless --cut-streams-on-revoke is set.
func TestRevokeAndStreams(t *testing.T) {
	t.Parallel()
	for _, cut := range []bool{false, true} {
		t.Run(map[bool]string{false: "finish", true: "cut"}[cut], func(t *testing.T) {
			t.Parallel()
			upstream := newStream()
			args := []string{"--cut-streams-on-revoke"}
			if !cut {
				args = nil
			}
			g := startGate(t, upstream, args...)
			events := openStream(t, g, upstream)
			g.keyCommand(t, exitOK, "revoke", "--id", "acme-web", "--force")
			// The upstream serves one request only, so a second must not reach it: wait for the log line before sending one.
			testkit.Eventually(t, "reload after the revocation", func() bool { return len(g.Logged(t, "key file applied")) == 2 })
			if res := g.predict(t, webChatflow, g.web); res.code() != "invalid_key" {
				t.Errorf("predict with a revoked key = %d %q, want invalid_key", res.status, res.code())
			}
			if !cut {
				upstream.send(t, events, "second")
				close(upstream.events)
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
