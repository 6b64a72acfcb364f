package edit_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/keystore/edit"
)

// editAndDie is killed during an edit, when its temporary file is complete.
func editAndDie(path, _ string) error {
	die := func() error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) }
	_, err := edit.File(path, edit.Options{Before: die}, func(data []byte) ([]byte, error) { return append(data, "new"...), nil })
	return err
}

// However many edits are killed, at most one temporary file is left. Files that only look like one stay.
func TestKilledEdits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.yaml")
	users := []string{".keys.yaml.123", ".keys.yaml.flowlatch-notes", ".keys.yaml.flowlatch-1.bak", ".keys.yaml.swp", ".other.yaml.flowlatch-1", "keys.yaml.flowlatch-1"}
	for _, name := range append(users, "keys.yaml") {
		writeFile(t, filepath.Join(dir, name), "old")
	}
	if err := os.Mkdir(filepath.Join(dir, ".keys.yaml.flowlatch-7"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		var exit *exec.ExitError
		if err := child(t, "die", path, "").Run(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("the edit ended with %v, want that it was killed", err)
		}
		if contentOf(t, path) != "old" {
			t.Fatalf("the file holds %q, want the old content", contentOf(t, path))
		}
	}
	left := strings.Count(entries(t, dir), ".keys.yaml.flowlatch-")
	if want := 1 + 3; left != want { // three that a user made
		t.Errorf("the directory holds %s, want one temporary file", entries(t, dir))
	}
	if _, err := edit.File(path, edit.Options{}, to("new")); err != nil {
		t.Fatal(err)
	}
	want := ".keys.yaml.123 .keys.yaml.flowlatch-1.bak .keys.yaml.flowlatch-7 .keys.yaml.flowlatch-notes .keys.yaml.swp .other.yaml.flowlatch-1 keys.yaml keys.yaml.flowlatch-1"
	if got := entries(t, dir); got != want {
		t.Errorf("the directory holds %s, want %s", got, want)
	}
}
