package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestKeyWaits checks that a command says which other command it is waiting for, and goes on when that one ends.
func TestKeyWaits(t *testing.T) {
	t.Parallel()
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	dir, err := os.Open(filepath.Dir(keys))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "key", "new", "--keys", keys, "--id", "late", "--chatflow", webChatflow)
	holder := "another process"
	if runtime.GOOS == "linux" {
		command, _ := os.ReadFile("/proc/self/comm")
		holder = fmt.Sprintf("process %d (%s)", os.Getpid(), strings.TrimSpace(string(command)))
	}
	want := fmt.Sprintf("waiting for %s, which edits key files in the directory of %s\n", holder, keys)
	testkit.Eventually(t, want, func() bool { return p.Stderr.String() == want })
	if p.Stdout.String() != "" {
		t.Errorf("stdout = %q before the edit, want nothing", p.Stdout.String())
	}
	dir.Close()
	if code := p.Wait(t); code != exitOK || !secretLine.MatchString(p.Stdout.String()) || !strings.Contains(p.Stderr.String(), `key "late" is in `) {
		t.Errorf("key new = %d, %q, %q, want a secret", code, p.Stdout.String(), p.Stderr.String())
	}
}
