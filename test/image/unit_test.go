//go:build image

package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit has systemd check the unit for a host, and rate its confinement.
func TestUnit(t *testing.T) {
	dir := t.TempDir()
	unit, err := os.ReadFile(filepath.Join("..", "..", "deploy", "systemd", "flowlatch.service"))
	if err != nil {
		t.Fatal(err)
	}
	// The program need not be installed here.
	program := filepath.Join(dir, "flowlatch")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	installed := "/usr/local/bin/flowlatch"
	if n := strings.Count(string(unit), installed); n != 2 {
		t.Fatalf("the unit names %s %d times, want 2: to serve and to check", installed, n)
	}
	path := filepath.Join(dir, "flowlatch.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(unit), installed, program)), 0o644); err != nil {
		t.Fatal(err)
	}
	// An unknown word is a warning only.
	if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || strings.Contains(string(out), path) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	const most = "15" // of 100; a service without confinement has 96
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold="+most, path).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// TestUnitEnvironment has the gate read the settings that are installed with the unit, those that are commented out included.
func TestUnitEnvironment(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "deploy", "systemd", "flowlatch.env"))
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	must(t, "go", "run", "../../cmd/flowlatch", "key", "new", "--keys", keys, "--id", "web", "--chatflow", chatflow)
	env := append(os.Environ(), "FLOWLATCH_KEYS="+keys)
	var names []string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "#")
		if name, _, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, "FLOWLATCH_") {
			env, names = append(env, line), append(names, name)
		}
	}
	if len(names) < 5 {
		t.Fatalf("settings = %q, want at least 5", names)
	}
	check := exec.Command("go", "run", "../../cmd/flowlatch", "check")
	check.Env = env
	out, err := check.CombinedOutput()
	if err != nil {
		t.Errorf("flowlatch check: %v\n%s", err, out)
	}
	for _, name := range names {
		if !strings.Contains(string(out), "environment variable "+name) {
			t.Errorf("%s is no setting:\n%s", name, out)
		}
	}
}
