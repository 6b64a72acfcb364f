package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// TestSecretsReadByEveryone: check and serve warn of each file with a secret that every user of the machine can read.
func TestSecretsReadByEveryone(t *testing.T) {
	t.Parallel()
	dir := testkit.PublicDir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	authority := certificatetest.New(t, "authority")
	cert, key := authority.Issue(t, "gate.example", year).Write(t, dir)
	for name, content := range map[string]string{
		"admin.token": strings.Repeat("a", 32), "browser.secrets": base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv")), "upstream.key": "of-the-upstream", "chatflow.key": "of-a-chatflow", "flowise.key": "of-flowise-0123",
		"flowlatch.yaml": "limits_redis: redis://:password@127.0.0.1:1/0\n",
		"keys.yaml": "version: 1\nkeys:\n  - {id: a, secret: " + keystore.Generate() + "}\nchatflows:\n  - {id: " + webChatflow + ", keys: [a], upstream_authorization: \"file:" + path("chatflow.key") + "\"}\n" +
			"  - {id: " + batchChatflow + ", keys: [a], upstream_authorization: \"file:" + path("chatflow.key") + "\"}\n",
	} {
		testkit.ReplaceFile(t, path(name), content)
	}
	args := []string{
		"--config", path("flowlatch.yaml"), "--keys", path("keys.yaml"), "--admin-token", "file:" + path("admin.token"), "--browser-secrets", path("browser.secrets"),
		"--upstream-authorization", "file:" + path("upstream.key"), "--upstream-api", "file:" + path("flowise.key"), "--tls-cert", cert, "--tls-key", key,
	}
	chmod := func(mode os.FileMode) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.Chmod(path(e.Name()), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	const everyone = "every user of this machine can read"
	check := func(mode os.FileMode) (warnings []string) {
		t.Helper()
		chmod(mode)
		code, _, stderr := flowlatch(t, append([]string{"check"}, args...)...)
		if code != exitOK {
			t.Fatalf("check = %d %s, want 0", code, stderr)
		}
		for line := range strings.Lines(stderr) {
			if strings.Contains(line, everyone) {
				warnings = append(warnings, strings.TrimSpace(line))
			}
		}
		return warnings
	}
	if got := check(0o640); got != nil {
		t.Errorf("check of files that a group may read warns: %q", got)
	}
	want := map[string]string{
		"--admin-token": "admin.token", "--browser-secrets": "browser.secrets", "--upstream-authorization": "upstream.key", "--upstream-api": "flowise.key", "--tls-key": filepath.Base(key),
		path("flowlatch.yaml") + ":1: limits_redis": "flowlatch.yaml", path("keys.yaml") + `:5: chatflow "` + webChatflow + `"`: "chatflow.key",
	}
	got := check(0o644)
	for place, name := range want {
		if line := "warning: " + place + ": every user of this machine can read " + path(name) + ", which holds a secret; run `chmod o-r " + path(name) + "`"; !strings.Contains(strings.Join(got, "\n"), line) {
			t.Errorf("check = %q, want %q", got, line)
		}
	}
	if n := len(want) + 1; len(got) != n || !strings.Contains(strings.Join(got, "\n"), "warning: "+path("keys.yaml")+": it has secrets in plain text, and every user") {
		t.Errorf("check has %d such warnings, want %d, one of them of the key file: %q", len(got), n, got)
	}

	p := testkit.Start(t, testkit.Build(t), nil, "serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", path("keys.yaml"), "--admin-token", "file:"+path("admin.token"))
	testkit.Serving(t, p)
	for _, message := range []string{
		"--admin-token: every user of this machine can read " + path("admin.token") + ", which holds a secret; run `chmod o-r " + path("admin.token") + "`",
		path("keys.yaml") + ": it has secrets in plain text, and every user of this machine can read it; put their digests in place, or run `chmod o-r " + path("keys.yaml") + "`",
	} {
		if lines := p.Logged(t, message); len(lines) != 1 || lines[0]["level"] != "warn" {
			t.Errorf("log lines %q = %v, want one warning", message, lines)
		}
	}
}
