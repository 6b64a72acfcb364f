//go:build unix

package keystore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestOddKeyFile puts something that must not be read in place of the key file, or of Flowise's. That is a fault at the
// start, and later a fault like any other, which ends when a regular file is back.
func TestOddKeyFile(t *testing.T) {
	for _, test := range []struct {
		name, want string
		put        func(path string) error
	}{
		{"named pipe", "it is a named pipe, not a regular file", func(p string) error { return syscall.Mkfifo(p, 0o600) }},
		{"link to a named pipe", "it is a named pipe", func(p string) error { return errors.Join(syscall.Mkfifo(p+".pipe", 0o600), os.Symlink(p+".pipe", p)) }},
		{"directory", "it is a directory", func(p string) error { return os.Mkdir(p, 0o700) }},
		{"link to a device that never ends", "it is a device", func(p string) error { return os.Symlink("/dev/zero", p) }},
		{"2 GiB", "it is larger than", func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Truncate(p, 2<<30)) }},
		{"empty", "", func(p string) error { return os.WriteFile(p, nil, 0o600) }},
	} {
		for _, name := range []string{"keys.yaml", "flowise/api.json"} {
			t.Run(test.name+" as "+name, func(t *testing.T) {
				path, _ := withFlowise(t, usesFlowise, apiJSON("Web "+flowiseA+" "+secretA, "Batch "+flowiseB+" "+secretB))
				odd := filepath.Join(filepath.Dir(path), name)
				s, err := keystore.Open(path, keystore.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(os.Rename(odd, odd+".good"), test.put(odd)); err != nil {
					t.Fatal(err)
				}
				if r := s.Reload(); r.Result != keystore.Failed || !strings.Contains(r.Err.Error(), test.want) || !strings.Contains(r.Err.Error(), odd) {
					t.Errorf("Reload = %s, %v, want a failure with %q and the path", r.Result, r.Err, test.want)
				}
				if st := s.Status(); !st.Stale || !opens(s, secretA) || !opens(s, "our-own-secret-0123456789") {
					t.Errorf("stale = %t, want it, and the keys as they were", st.Stale)
				}
				if again, err := keystore.Open(path, keystore.Options{}); again != nil || err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("Open = %v, %v, want an error with %q", again, err, test.want)
				}
				if err := errors.Join(os.RemoveAll(odd), os.Rename(odd+".good", odd)); err != nil {
					t.Fatal(err)
				}
				if r := s.Reload(); r.Result == keystore.Failed || s.Status().Stale {
					t.Errorf("Reload of the good file = %s, %v, stale %t, want success", r.Result, r.Err, s.Status().Stale)
				}
			})
		}
	}
}
