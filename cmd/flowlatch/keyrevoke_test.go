package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// TestRevokeDuringStream: a key with an open stream is in use, however long ago the stream began.
func TestRevokeDuringStream(t *testing.T) {
	t.Parallel()
	upstream := newStream()
	g := startGate(t, upstream)
	events := openStream(t, g, upstream)
	admin := strings.TrimPrefix(g.Admin, "http://")
	_, stderr := g.keyCommand(t, exitFailed, "revoke", "--id", "acme-web", "--admin", admin)
	if !strings.Contains(stderr, `key "acme-web" is in use now`) || !strings.Contains(stderr, "open requests: 1; --force") {
		t.Errorf("key revoke during a stream = %q, want that the key is in use", stderr)
	}
	close(upstream.events)
	if _, err := io.ReadAll(events); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "end of the stream", func() bool {
		return strings.Contains(send(t, http.MethodGet, g.Admin+"/status?key=acme-web", "", "").body, `"open_requests": 0`)
	})
	if _, stderr = g.keyCommand(t, exitFailed, "revoke", "--id", "acme-web", "--admin", admin); !strings.Contains(stderr, "was used at ") {
		t.Errorf("key revoke after a stream = %q, want when the key was used", stderr)
	}
	g.keyCommand(t, exitOK, "revoke", "--id", "acme-web", "--admin", admin, "--force")
	g.WantExit(t, syscall.SIGTERM)
}

// TestRevokeWithoutAnswer: if nothing listens at the gate's address, the key is revoked. If something listens but does
// not say whether the key is in use, the key is not revoked without --force.
func TestRevokeWithoutAnswer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and never responds
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	respond := func(status int, body string) string {
		s := testkit.Upstream(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		return s.Listener.Addr().String()
	}
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(broken.Close)
	for _, tt := range []struct {
		name, admin string
		revoked     bool
		want        string
	}{
		{"nothing listens", nobody.Addr().String(), true, "no gate listens at"},
		{"no response", silent.Addr().String(), false, "no response from "},
		{"another program", respond(200, "<html>"), false, "is not an admin listener of flowlatch"},
		{"another program's JSON", respond(200, `{"key":{"id":"a"}}`), false, "is not an admin listener of flowlatch"},
		{"an error", respond(503, "busy\n"), false, "busy"},
		{"no such page", respond(404, "404 page not found\n"), false, "404 page not found"},
		{"a page", respond(404, strings.Repeat("<p>not here</p>\n", 100)), false, "responds 404: it is not an admin listener of flowlatch"},
		{"what a terminal would obey", respond(404, "\x1b[2Jnot here\n"), false, "responds 404: it is not an admin listener of flowlatch"},
		{"the connection breaks", broken.Listener.Addr().String(), false, "EOF"},
		{"a name that does not exist", "gate.invalid:9901", false, "gate.invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			keys := testkit.WriteFile(t, "keys.yaml", "version: 1\nkeys:\n  - id: a\n    sha256: "+keystore.DigestOf("a").String()+"\nchatflows:\n  - id: x\n    keys: [a]\n")
			code, _, stderr := flowlatch(t, "key", "revoke", "--keys", keys, "--id", "a", "--admin", tt.admin)
			content, err := os.ReadFile(keys)
			if err != nil {
				t.Fatal(err)
			}
			if revoked := strings.Contains(string(content), "disabled: true"); revoked != tt.revoked || (code == exitOK) != tt.revoked || !strings.Contains(stderr, tt.want) {
				t.Errorf("key revoke = %d, %q, revoked: %t, want %t and %q", code, stderr, revoked, tt.revoked, tt.want)
			}
			if tt.revoked {
				return
			}
			if strings.Count(stderr, "\n") != 1 || len(stderr) > 500 || strings.Contains(stderr, "\x1b") {
				t.Errorf("key revoke = %q, want one short line of text", stderr)
			}
			if !strings.Contains(stderr, "--force") {
				t.Errorf("key revoke = %q, want it to name --force", stderr)
			}
			if code, _, stderr = flowlatch(t, "key", "revoke", "--keys", keys, "--id", "a", "--admin", tt.admin, "--force"); code != exitOK {
				t.Errorf("key revoke --force = %d, %q, want 0", code, stderr)
			}
		})
	}
}

// TestRevokeByAnotherGate: a gate with another key file may be talking about another key, so revoke says which gate it
// asked.
func TestRevokeByAnotherGate(t *testing.T) {
	t.Parallel()
	g, other := startGate(t, newEcho()), startGate(t, newEcho())
	for admin, want := range map[string]bool{g.Admin: false, other.Admin: true} {
		code, _, stderr := flowlatch(t, "key", "revoke", "--keys", g.Keys, "--id", "acme-web", "--admin", strings.TrimPrefix(admin, "http://"), "--stdout")
		if noted := strings.Contains(stderr, "has not applied "+g.Keys+" as it is now"); code != exitOK || noted != want {
			t.Errorf("key revoke with the gate at %s = %d, %q; want 0, and a note about another key file: %t", admin, code, stderr, want)
		}
	}
}
