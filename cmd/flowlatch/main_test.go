package main

import (
	"bytes"
	"runtime/debug"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestMain lets the test binary stand for flowlatch in the scripts of testdata/script.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"flowlatch": main})
}

type suite struct{ *testing.M }

func (s suite) Run() int {
	debug.SetGCPercent(400) // a quarter of what hundreds of commands in this process take is to collect what the last one left
	return testkit.Main(s.M)
}

// flowlatch runs a command in this process.
func flowlatch(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// start starts the program with variables added to an environment that has little in it.
func start(t *testing.T, env []string, args ...string) *testkit.Process {
	t.Helper()
	return testkit.Start(t, testkit.Build(t), env, args...)
}

// finish runs the program until it exits.
func finish(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, nil, args...)
	code = p.Wait(t)
	return code, p.Stdout.String(), p.Stderr.String()
}
