package edit

import (
	"cmp"
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
	target := followLinks(path)
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return fileError(path, err)
	}
	defer dir.Close() // and unlock it
	if err := lock(dir); err != nil {
		return fileError(path, err)
	}
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
	if err := dir.Sync(); err != nil {
		return fileError(path, err)
	}
	return nil
}

// followLinks follows the symbolic links at the end of path. The file need not exist.
func followLinks(path string) string {
	for range 40 { // as many as Linux follows; it refuses to open the file if there are more
		target, err := os.Readlink(path)
		if err != nil { // not a link, or nothing there
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path
}

// lock keeps other edits in the directory out until it is closed. The directory is locked, not the file,
// since the file is replaced; nothing is left behind.
func lock(dir *os.File) error {
	for {
		err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			return err
		}
	}
}

// replace writes data to a temporary file beside path and renames it over path.
func replace(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
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
	_, err = tmp.Write(data)
	if err = cmp.Or(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// keepOwner gives f the owner that info tells, if it is another.
func keepOwner(f *os.File, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() && int(st.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
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
