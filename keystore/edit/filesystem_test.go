package edit_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/keystore/edit"
)

const nobody = 65534

// editWithFullDisk edits the file while no file may have more than a few bytes.
func editWithFullDisk(path, _ string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100, Max: 100}); err != nil {
		return err
	}
	_, err := edit.File(path, edit.Options{}, func(data []byte) ([]byte, error) { return append(data, make([]byte, 1000)...), nil })
	if !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("Edit = %w, want %w", err, syscall.EFBIG)
	}
	return nil
}

// editAsNobody edits the file without the rights of root, and prints the error.
func editAsNobody(path, _ string) error {
	if os.Geteuid() == 0 {
		if err := errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			return err
		}
	}
	_, err := edit.File(path, edit.Options{}, func(data []byte) ([]byte, error) { return append(data, "new"...), nil })
	fmt.Print(err)
	return nil
}

func TestEditWithFullDisk(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.yaml")
	writeFile(t, path, "old")
	if out, err := child(t, "full", path, "").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if contentOf(t, path) != "old" || entries(t, dir) != "keys.yaml" {
		t.Errorf("%d bytes are left in %s, want the old file alone", len(contentOf(t, path)), entries(t, dir))
	}
}

func TestEditWithoutPermission(t *testing.T) {
	const instead = "use --stdout to print the new file instead"
	for _, test := range []struct {
		name      string
		dir, file os.FileMode
		want      string
	}{
		{"read-only directory", 0o555, 0o644, "no permission to write in its directory; run this as its owner, or " + instead},
		{"directory not readable", 0o333, 0o644, "no permission"},
		{"directory closed", 0o000, 0o644, "no permission"},
		{"file not readable", 0o777, 0o000, "permission denied; the user that runs flowlatch must be able to read it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The directories above must not let anybody reach the one under test.
			if err := os.Chmod(filepath.Dir(t.TempDir()), 0o755); err != nil { //nolint:gosec // a directory of the test
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "keys")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "keys.yaml")
			writeFile(t, path, "old")
			if err := errors.Join(os.Chmod(path, test.file), os.Chmod(dir, test.dir)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) //nolint:gosec // so that it can be removed
			out, err := child(t, "read-only", path, "").Output()
			if got := string(out); err != nil || !strings.Contains(got, test.want) || !strings.Contains(got, path) {
				t.Errorf("Edit = %s, %v, want %q and the path", got, err, test.want)
			}
			if err := errors.Join(os.Chmod(dir, 0o700), os.Chmod(path, 0o600)); err != nil { //nolint:gosec // to look into it
				t.Fatal(err)
			}
			if contentOf(t, path) != "old" || entries(t, dir) != "keys.yaml" {
				t.Errorf("%q is left in %s, want the old file alone", contentOf(t, path), entries(t, dir))
			}
		})
	}
}

// Another user's file stays that user's: the gate must still be able to read it.
func TestEditKeepsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := filepath.Join(t.TempDir(), "keys.yaml")
	writeFile(t, path, "old")
	if err := os.Chown(path, nobody, nobody-1); err != nil {
		t.Fatal(err)
	}
	if _, err := edit.File(path, edit.Options{}, to("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != nobody || st.Gid != nobody-1 {
		t.Errorf("owner %d:%d, want %d:%d", st.Uid, st.Gid, nobody, nobody-1)
	}
	checkMode(t, path, 0o600)
}
