package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// flowlatch runs a command in this process.
func flowlatch(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// start starts the program with variables added to a minimal environment.
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
