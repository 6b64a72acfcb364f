package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary stand for flowlatch in the scripts of testdata/script.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"flowlatch": main})
}

// suite runs the tests with a directory for the binary, and without the settings of whoever runs them.
type suite struct{ *testing.M }

func (s suite) Run() int {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "FLOWLATCH_") {
			os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "flowlatch-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	buildDir = dir
	return s.M.Run()
}

var buildDir string // set by suite.Run

// build builds the program once, for tests that send signals to it. It has the race detector if the
// tests have: a race then ends a process with an exit code that no test wants.
var build = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(buildDir, "flowlatch")
	args := []string{"build", "-o", path}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" && s.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building flowlatch: %w\n%s", err, out)
	}
	return path, nil
})

func binary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buildPlain builds the program without the race detector, for tests that look at its memory.
var buildPlain = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(buildDir, "flowlatch-plain")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building flowlatch: %w\n%s", err, out)
	}
	return path, nil
})

// flowlatch runs a command in this process.
func flowlatch(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// writeFile makes a file in a directory of its own.
func writeFile(t *testing.T, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
