// Package testkit has what the tests of several packages need: polling, files, and flowlatch as a running process.
//
// It imports the standard library only, so that every package's tests, and the modules in test/, can use it.
package testkit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// buildDir is the directory of the programs that Build makes. Main sets it.
var buildDir string

// Main runs the tests of a package that uses Build, and removes what Build made. A TestMain calls it:
//
//	func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
//
// It also removes flowlatch's settings from the environment, so that those of the developer do not reach the tests.
func Main(m interface{ Run() int }) int {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "FLOWLATCH_") && name != longVariable {
			_ = os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "flowlatch-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	buildDir = dir
	return m.Run()
}

const longVariable = "FLOWLATCH_LONG"

// Long skips the test unless the environment has FLOWLATCH_LONG=1. CI sets it.
func Long(t testing.TB) {
	t.Helper()
	if os.Getenv(longVariable) != "1" {
		t.Skipf("this test takes long; set %s=1 to run it", longVariable)
	}
}
