package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// TestKilledRotations kills rotations at random moments. Afterwards the key file is valid, its key has a secret that
// was handed out, and at most one temporary file is left.
func TestKilledRotations(t *testing.T) {
	t.Parallel()
	rotations := 12
	if testkit.Long() {
		rotations = 400
	}
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.yaml")
	rotate := func(n int) *exec.Cmd {
		cmd := exec.Command(testkit.Build(t), "key", "rotate", "--keys", keys, "--id", "acme-web", "--overlap", "0", "--out", filepath.Join(dir, fmt.Sprint(n, ".secret")))
		cmd.Env = append(os.Environ(), "GORACE="+testkit.RaceOptions)
		return cmd
	}
	if code, _, stderr := finish(t, "key", "new", "--keys", keys, "--id", "acme-web", "--chatflow", webChatflow, "--out", filepath.Join(dir, "new.secret")); code != exitOK {
		t.Fatal(stderr)
	}
	started := time.Now()
	if out, err := rotate(0).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	usual := time.Since(started) // from start to end
	for n := 1; n <= rotations; n++ {
		cmd := rotate(n)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(rand.N(usual), func() { _ = cmd.Process.Kill() }) //nolint:gosec // any moment will do
		_ = cmd.Wait()
		kill.Stop()
	}
	store, err := keystore.Open(keys, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	valid, temporary := 0, 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".keys.yaml.") {
			temporary++
		}
		if strings.HasSuffix(e.Name(), ".secret") {
			secret, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if store.Snapshot().Match(keystore.DigestOf(strings.TrimSpace(string(secret))), time.Now()).Validity == keystore.Valid {
				valid++
			}
		}
	}
	if valid != 1 || temporary > 1 {
		t.Errorf("after %d rotations %d secrets are valid and %d temporary files left, want 1 and at most 1", rotations, valid, temporary)
	}
}
