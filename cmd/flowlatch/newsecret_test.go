package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestSecretOfFailedEdit checks that nobody is left with a secret that opens nothing if the last step of the edit
// fails, after the secret was handed out.
func TestSecretOfFailedEdit(t *testing.T) {
	for _, out := range []string{"", "a.secret"} {
		keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
		n := newSecret{}
		if out != "" {
			n.Out = filepath.Join(filepath.Dir(keys), out)
		}
		var stdout, stderr bytes.Buffer
		err := n.deliver(&keyEdit{}, keys, streams{&stdout, &stderr}, "fl_secret", func([]byte) ([]byte, error) {
			if err := os.Remove(keys); err != nil {
				t.Fatal(err)
			}
			return []byte(publicKeyFile + "# new\n"), os.MkdirAll(filepath.Join(keys, "full"), 0o700) // a file cannot replace this directory
		})
		if err == nil || !strings.HasPrefix(err.Error(), "editing key file") {
			t.Errorf("deliver = %v, want an error of the edit", err)
			continue
		}
		printed := strings.Contains(err.Error(), "\nthe secret that was printed opens nothing: discard it")
		if out == "" && (!printed || stdout.String() != "fl_secret\n") || out != "" && (printed || stdout.Len() > 0) {
			t.Errorf("with --out %q: %v and %q on standard output", out, err, &stdout)
		}
		if entries, err := os.ReadDir(filepath.Dir(keys)); err != nil || len(entries) != 1 {
			t.Errorf("with --out %q: %v is left, %v, want the directory alone", out, entries, err)
		}
	}
}
