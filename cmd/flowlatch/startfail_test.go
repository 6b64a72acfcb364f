package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestServeDoesNotStart checks that serve, if it cannot start, says once why and what to do, and exits.
func TestServeDoesNotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	addr := taken.Addr().String()
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	missing := filepath.Join(t.TempDir(), "keys.yaml")
	token := testkit.WriteFile(t, "admin.token", strings.Repeat("0", 32))
	for _, row := range []struct {
		name, listen, admin, keys string
		want                      []string // on stderr
		args                      []string
	}{
		{"listen taken", addr, "localhost:0", keys, []string{
			"--listen " + addr + ": another program listens there; ", "choose another port",
		}, nil},
		{"admin taken", "127.0.0.1:0", addr, keys, []string{
			"--admin " + addr + ": another program listens there; ", "choose another port",
		}, nil},
		{"key file missing", "127.0.0.1:0", "localhost:0", missing, []string{
			missing, "it does not exist; ", "--keys", "`flowlatch key new`",
		}, nil},
		{"key file empty", "127.0.0.1:0", "localhost:0", testkit.WriteFile(t, "keys.yaml", "\n"), []string{
			"keys.yaml: the file is empty",
		}, nil},
		{"key file for the console empty", "127.0.0.1:0", "localhost:0", testkit.WriteFile(t, "keys.yaml", ""), []string{
			"keys.yaml: the file is empty; to fill it on the console, write `version: 1` into it",
		}, []string{"--admin-token", "file:" + token}},
		{"key file for the console missing", "127.0.0.1:0", "localhost:0", missing, []string{
			"it does not exist; ", "to fill it on the console, write `version: 1` into it",
		}, []string{"--admin-token", "file:" + token}},
		{"directory for the console empty", "127.0.0.1:0", "localhost:0", t.TempDir(), []string{
			"it is a directory without a key file (*.yaml, *.yml or *.json); to fill it on the console, put a file into it that has `version: 1`, such as keys.yaml",
		}, []string{"--admin-token", "file:" + token}},
		{"key file with faults", "127.0.0.1:0", "localhost:0", testkit.WriteFile(t, "keys.yaml", "version: 1\nkeys: [{id: a}]\nchatflows: [{id: b}]\n"), []string{
			`keys.yaml:2: key "a" has no secret`, `keys.yaml:3: chatflow "b" has neither`,
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := finish(t, append([]string{"serve", "--listen", row.listen, "--admin", row.admin, "--keys", row.keys}, row.args...)...)
			if code != exitFailed || stdout != "" {
				t.Errorf("serve = %d, %q on stdout, want 1 and nothing", code, stdout)
			}
			_, told, _ := strings.Cut("\n"+stderr, "\nflowlatch: ")
			for _, want := range row.want {
				if !strings.Contains(told, want) {
					t.Errorf("serve = %q on stderr, want %q after its name", stderr, want)
				}
			}
			if strings.Contains(stderr, "serving") {
				t.Errorf("serve = %q on stderr, want nothing about serving", stderr)
			}
			if n := strings.Count(stderr, row.want[0]); n != 1 {
				t.Errorf("serve tells %q %d times, want once: %q", row.want[0], n, stderr)
			}
		})
	}
}
