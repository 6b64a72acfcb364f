// Package testkit has what the tests of several packages need: polling, files, and flowlatch as a running process.
//
// It imports the standard library only, so that every package's tests, and the modules in test/, can use it.
package testkit

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

// Main sets these for Build.
var (
	buildDir     string // where Build puts its programs
	givenProgram string // FLOWLATCH_BIN
)

// Main runs the tests of a package that uses Build, or whose tests wait more than they work or make much garbage, and
// removes what Build made. A TestMain calls it:
//
//	func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
//
// It also removes flowlatch's settings from the environment, so that those of the developer do not reach the tests, and
// lets more parallel tests run than there are processors, because most of them wait for a process, a file or a timeout.
// Garbage is collected more rarely: much of what short tests take is to collect what the last ones left.
func Main(m interface{ Run() int }) int {
	givenProgram = os.Getenv("FLOWLATCH_BIN")
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "FLOWLATCH_") {
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
	if err := flag.Set("test.parallel", "16"); err != nil { // the command line, which is parsed later, can change it
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	debug.SetGCPercent(400)
	return m.Run()
}
