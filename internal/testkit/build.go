package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Build builds flowlatch and returns the path of the program. Each set of flags of "go build" is built once for each
// test binary, whose TestMain must call Main. FLOWLATCH_BIN names a program to test instead.
//
// The program has the race detector if the test binary has it: a race then ends the process with an exit code that no
// test expects. The flag -race=false leaves it out, for tests that measure memory. The program has no debug
// information, which would take a third of the time to link.
func Build(t testing.TB, flags ...string) string {
	t.Helper()
	if buildDir == "" {
		t.Fatal("testkit.Build needs a TestMain that calls testkit.Main")
	}
	if givenProgram != "" {
		return givenProgram
	}
	if raceEnabled() {
		flags = append([]string{"-race"}, flags...)
	} else { // so that it is not built twice
		flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == "-race=false" })
	}
	once, _ := builds.LoadOrStore(strings.Join(flags, " "), sync.OnceValues(func() (string, error) { return build(flags) }))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// builds holds a func() (path string, err error) for each set of flags.
var builds sync.Map

func build(flags []string) (path string, err error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(buildDir, "")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "flowlatch")
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", path, "-trimpath", "-ldflags=-s -w"}, flags, []string{"./cmd/flowlatch"})...)
	cmd.Dir = root
	if !slices.Contains(flags, "-race") { // which needs cgo
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building flowlatch: %w\n%s", err, out)
	}
	return path, nil
}

// Root returns the top directory of the source tree.
func Root(t testing.TB) string {
	t.Helper()
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// findRoot goes up from the working directory, which in a test is that of the package. It looks for the command and not
// for go.mod, because modules below the root have a go.mod of their own.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "flowlatch", "main.go")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no directory above the working directory has cmd/flowlatch")
		}
		dir = parent
	}
}

var raceEnabled = sync.OnceValue(func() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
})
