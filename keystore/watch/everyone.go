package watch

import (
	"os"
	"path/filepath"
	"strings"
)

// EveryoneReads reports whether every user of this machine can read the regular file at path: its mode lets them, and
// they can enter each directory above it. It is false if that is not known, and also where the mode means nothing: for a
// file that is mounted by itself, as into a container, and in a Kubernetes volume, whose files have the mode 0644 but are
// visible only to their container.
func EveryoneReads(path string) bool {
	open, err := limited(path, func() (bool, error) { return isOpen(path) }, nil)
	return err == nil && open && !IsMountPoint(path)
}

func isOpen(path string) (bool, error) {
	real, err := resolved(path)
	if err != nil {
		return false, err
	}
	info, err := os.Stat(real)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o004 == 0 {
		return false, err
	}
	for dir := filepath.Dir(real); ; dir = filepath.Dir(dir) {
		if strings.HasPrefix(filepath.Base(dir), "..") { // one version of a Kubernetes volume, to which ..data leads
			return false, nil
		}
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false, err
		}
		if dir == filepath.Dir(dir) {
			return true, nil
		}
	}
}
