package keystore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// volume is a directory into which the kubelet projects several Secrets.
type volume struct {
	*testing.T
	dir   string
	swaps int
	files map[string]string
}

// project puts the files into the volume as the kubelet does (pkg/volume/util/atomic_writer.go): it writes all of them into a
// new directory, makes the link ..data lead there by renaming another over it, and then adds and removes the links of
// single files and the old directory.
func (v *volume) project(files map[string]string) {
	v.Helper()
	v.swaps++
	old, _ := os.Readlink(filepath.Join(v.dir, "..data"))
	next := fmt.Sprintf("..2026_11_28_21_00_00.%d", v.swaps)
	err := os.Mkdir(filepath.Join(v.dir, next), 0o700)
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(v.dir, next, name), []byte(content), 0o600))
	}
	tmp := filepath.Join(v.dir, "..data_tmp")
	err = errors.Join(err, os.Symlink(next, tmp), os.Rename(tmp, filepath.Join(v.dir, "..data")))
	for name := range files {
		if _, known := v.files[name]; !known {
			err = errors.Join(err, os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)))
		}
	}
	for name := range v.files {
		if _, stays := files[name]; !stays {
			err = errors.Join(err, os.Remove(filepath.Join(v.dir, name)))
		}
	}
	if old != "" {
		err = errors.Join(err, os.RemoveAll(filepath.Join(v.dir, old)))
	}
	if err != nil {
		v.Fatal(err)
	}
	v.files = files
}

// TestProjectedSecrets changes the Secrets of several teams in one volume, without a poll: the swap is the only event.
func TestProjectedSecrets(t *testing.T) {
	t.Parallel()
	team := func(keys string) string { return keyFileFor("y-"+keys[:1], strings.Fields(keys)...) }
	v := &volume{T: t, dir: t.TempDir()}
	v.project(map[string]string{"a.yaml": team("a1 a2"), "b.yaml": team("b1 b2")})
	s, err := keystore.Open(v.dir, keystore.Options{Poll: time.Hour, Require: []string{"b.yaml"}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	keys := func(want string) func() bool { return func() bool { return snapshotIDs(s.Snapshot()) == want } }
	// The watch begins some time after Run does, so go on until it notices.
	n := 0
	testkit.Eventually(t, "the first swap", func() bool {
		if n++; n%20 == 1 {
			v.project(map[string]string{"a.yaml": team("a1 a2") + strings.Repeat("#\n", n), "b.yaml": team("b1 b2")})
		}
		return s.Status().Generation > 1
	})
	v.project(map[string]string{"a.yaml": team("a1"), "b.yaml": team("b1 b2")})
	testkit.Eventually(t, "one team revokes a key", keys("a1 b1 b2"))
	v.project(map[string]string{"a.yaml": "version: 1\nkeys: [}\n", "b.yaml": team("b2")})
	testkit.Eventually(t, "the other revokes one, and the first has a fault", keys("a1 b2"))
	testkit.Eventually(t, "the fault", func() bool { st := s.Status(); return st.Stale && st.Files[0].Err != nil && st.Files[1].Err == nil })
	v.project(map[string]string{"a.yaml": team("a3"), "b.yaml": team("b2"), "c.yaml": team("c1")})
	testkit.Eventually(t, "a third team", keys("a3 b2 c1"))
	testkit.Eventually(t, "the fault is mended", func() bool { return !s.Status().Stale })
	v.project(map[string]string{"a.yaml": team("a3 a4")}) // as an optional source that is missing
	testkit.Eventually(t, "two Secrets are gone, and one of them is required", keys("a3 a4 b2"))
	testkit.Eventually(t, "the fault of the required one", func() bool { return s.Status().Stale })
	v.project(map[string]string{"b.yaml": team("b3")})
	testkit.Eventually(t, "another is gone", keys("b3"))
	testkit.Eventually(t, "the required file is back", func() bool { return !s.Status().Stale })
}
