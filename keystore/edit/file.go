package edit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/flowlatch/flowlatch/keystore"
)

// File replaces the key file at path with what change returns for its content, which is nil if the
// file does not exist. The replacement is atomic and durable: readers see the old file or the new
// one, and once File has returned the new one survives a power failure. Mode, owner and a symbolic
// link are kept. Edits exclude each other, so a second one sees what the first one wrote.
func File(path string, change func(data []byte) ([]byte, error)) error {
	target, err := followLinks(path)
	if err != nil {
		return fmt.Errorf("editing key file %q: %w", path, err)
	}
	unlock, err := lockDir(filepath.Dir(target))
	if err != nil {
		return fileError(path, err)
	}
	defer unlock()
	data, err := os.ReadFile(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return keystore.ReadError(path, err)
	}
	next, err := change(data)
	if err != nil {
		return err
	}
	if err := replace(target, next); err != nil {
		return fileError(path, err)
	}
	return nil
}

// followLinks follows the symbolic links at the end of path. The file need not exist.
func followLinks(path string) (string, error) {
	for range 32 {
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil //nolint:nilerr // not a link, or nothing there
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return "", errors.New("too many symbolic links")
}

// replace writes data to a temporary file beside path and renames it over path.
func replace(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if info, err := os.Stat(path); err == nil {
		if err := keepOwner(tmp, info); err != nil {
			return err
		}
		if err := tmp.Chmod(info.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil // replaced; a directory that cannot be opened cannot be synced
	}
	defer d.Close()
	return d.Sync()
}

// fileError says why the key file at path cannot be written, and what to do instead.
func fileError(path string, err error) error {
	const instead = "use --stdout to print the new file instead; for a Kubernetes Secret, pipe it into `kubectl create secret generic NAME --from-file=keys.yaml=/dev/stdin --dry-run=client -o yaml | kubectl apply -f -`"
	switch {
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("editing key file %q: it is on a read-only file system, as a mounted Secret or ConfigMap is; %s", path, instead)
	case errors.Is(err, syscall.EBUSY):
		return fmt.Errorf("editing key file %q: it is a mount point of its own and cannot be replaced; mount its directory, or %s", path, instead)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("editing key file %q: no permission to write in its directory; run this as its owner, or %s", path, instead)
	}
	return fmt.Errorf("editing key file %q: %w", path, err)
}
