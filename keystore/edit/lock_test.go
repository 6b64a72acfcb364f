package edit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/keystore/edit"
)

// lockDirectory locks the directory of a file as an edit does, until the test ends or unlock is called.
func lockDirectory(t *testing.T, path string) (unlock func()) {
	t.Helper()
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { dir.Close() }
}

// lockHolder is how an error names this process.
func lockHolder() string {
	if runtime.GOOS == "linux" {
		command, _ := os.ReadFile("/proc/self/comm")
		return fmt.Sprintf("process %d (%s)", os.Getpid(), strings.TrimSpace(string(command)))
	}
	return "another process"
}

// An edit that waits for another process says so, and continues when that one ends.
func TestEditWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.yaml")
	writeFile(t, path, "old")
	unlock := lockDirectory(t, path)
	told := ""
	_, err := edit.File(path, edit.Options{Wait: time.Hour, Waiting: func(holder string) {
		told = holder
		unlock()
	}}, to("new"))
	if err != nil || contentOf(t, path) != "new" || told != lockHolder() {
		t.Errorf("File = %v, told of %q, want no error, told of %s", err, told, lockHolder())
	}
}

// An edit does not wait for ever.
func TestEditGivesUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	writeFile(t, path, "old")
	unlock := lockDirectory(t, path)
	_, err := edit.File(path, edit.Options{Wait: time.Millisecond}, to("new"))
	want := fmt.Sprintf("editing key file %q: %s has held the lock on the directory for 1ms; wait until it ends, or end it", path, lockHolder())
	if err == nil || !strings.HasPrefix(err.Error(), want) || contentOf(t, path) != "old" {
		t.Errorf("File = %v, want %s", err, want)
	}
	unlock()
	// An edit that gave up does not keep the lock if it gets it later.
	if _, err := edit.File(path, edit.Options{Wait: time.Hour}, to("new")); err != nil {
		t.Error(err)
	}
}
