package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite what scripts compare with")

// scriptChatflows are the IDs of the chatflows in scripts, by the variables that scripts have for them.
var scriptChatflows = map[string]string{
	"WEB":      "3f1c2a9e-1111-4222-8333-444455556666",
	"BATCH":    "8d2b6c1f-7777-4888-9999-aaaabbbbcccc",
	"PUBLIC":   "c0ffee00-2222-4333-8444-555566667777",
	"UNLISTED": "d15ab1ed-5555-4666-8777-888899990000",
}

func TestScripts(t *testing.T) {
	t.Parallel()
	path := filepath.Dir(testkit.Build(t)) + string(filepath.ListSeparator) + os.Getenv("PATH")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", path)
			e.Setenv("GORACE", testkit.RaceOptions)
			e.Setenv("GOGC", "off") // 500 commands, most of which do little but start
			for name, id := range scriptChatflows {
				e.Setenv(name, id)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "secret": secret, "only": only,
		},
		RequireExplicitExec: true, RequireUniqueNames: true, ContinueOnError: true, UpdateScripts: *update,
	})
}

// exits runs a command that must end with the given code: exits CODE COMMAND ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s = %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

var secretLine = regexp.MustCompile(`^fl_[0-9A-Za-z]{38}\n$`)

// secret checks that a file, or stdout or stderr, holds one new secret and nothing else, and sets
// $SECRET to it and $DIGEST to its digest: secret FILE
func secret(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: secret FILE")
	}
	text := ts.ReadFile(args[0])
	if !secretLine.MatchString(text) {
		ts.Fatalf("%s = %q, want a secret alone on a line", args[0], text)
	}
	text = strings.TrimSpace(text)
	digest := sha256.Sum256([]byte(text))
	ts.Setenv("SECRET", text)
	ts.Setenv("DIGEST", hex.EncodeToString(digest[:]))
}

// only checks that a directory holds the named files and no others: only DIR FILE...
func only(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: only DIR FILE...")
	}
	ts.Check(ts.Exec("ls", "-A", ts.MkAbs(args[0])))
	if got, want := strings.Join(strings.Fields(ts.ReadFile("stdout")), " "), strings.Join(args[1:], " "); got != want {
		ts.Fatalf("files in %s = %q, want %q", args[0], got, want)
	}
}
