package edit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Func is an edit: it returns the new content of a key file, given its content, which is nil if the file does not exist.
type Func func(data []byte) ([]byte, error)

// Options say what else happens while a file is edited. The zero value adds nothing.
type Options struct {
	// Version is the version of the content that the edit is based on; if the file has another, the error is a
	// [ConflictError]. Empty means any.
	Version string
	// Before is called when the new content is safe on disk in a temporary file, just before that replaces the key file.
	// If it returns an error, the key file stays as it is.
	Before func() error
	// Waiting is called once if another process is editing key files in the directory. holder says which process, if that
	// is known.
	Waiting func(holder string)
	// Wait is how long to wait for that process. Zero means 10 s.
	Wait time.Duration
}

// ErrChanged is wrapped by an error after which the key file nevertheless has its new content.
var ErrChanged = errors.New("the file is changed, but that may not survive a power failure")

// File replaces the key file at path with what change returns for its content. The replacement is atomic and durable: readers
// see the old file or the new one, and once File has returned the new one survives a power failure. Mode, owner and a symbolic
// link are kept. Edits exclude each other, so a second one sees what the first one wrote. After an error
// that is not [ErrChanged], the file is as it was. If change returns what it was given, nothing is written. File returns
// the content that the file now has.
func File(path string, o Options, change Func) ([]byte, error) {
	target := followLinks(path)
	dir, err := o.lock(filepath.Dir(target))
	if err != nil {
		return nil, fileError(path, err)
	}
	defer dir.Close() // and unlock it
	removeLeftovers(target)
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	if have := Version(data); o.Version != "" && have != o.Version {
		return nil, &ConflictError{path, o.Version, have}
	}
	next, err := change(data)
	if err != nil {
		return nil, err
	}
	if data != nil && bytes.Equal(data, next) {
		return next, nil
	}
	if err := replace(target, next, o.Before); err != nil {
		return nil, fileError(path, err)
	}
	if err := syncDir(dir); err != nil {
		return next, fileError(path, fmt.Errorf("%w: %w", ErrChanged, err))
	}
	return next, nil
}

// Replace replaces the file at path with data as [File] does, but without a lock: the caller must keep other writers
// away. The file need not be a key file.
func Replace(path string, data []byte) error {
	target := followLinks(path)
	removeLeftovers(target)
	if err := replace(target, data, nil); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	defer dir.Close()
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return nil
}

// Read returns the content of the key file at path, or nil if it does not exist.
func Read(path string) ([]byte, error) {
	data, err := keystore.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, keystore.ReadError(path, err)
	}
	return data, nil
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

// replace writes data to a temporary file beside path, calls before unless it is nil, and renames the file over path.
func replace(path string, data []byte, before func() error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), temporaryPrefix(path)+"*") // mode 0600
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
	if before != nil {
		if err := before(); err != nil {
			return &beforeError{err}
		}
	}
	return os.Rename(tmp.Name(), path)
}

// beforeError is an error from Options.Before. It already says what is wrong and where.
type beforeError struct{ error }

// keepOwner gives f the owner in info, unless that is the current user and group.
func keepOwner(f *os.File, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() && int(st.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// syncDir makes what was created or renamed in a directory survive a power failure, if its file system can do that.
func syncDir(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// UnwritableError says why a key file cannot be replaced where it is.
type UnwritableError struct {
	File, Why string

	remedy string // for whoever runs a command
	err    error
}

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("editing key file %q: %s; %s", e.File, e.Why, e.remedy)
}

func (e *UnwritableError) Unwrap() error { return e.err }

// fileError says why the key file at path cannot be written, and what to do instead.
func fileError(path string, err error) error {
	const instead = "use --stdout to print the new file instead; for a Kubernetes Secret, pipe it into `kubectl create secret generic NAME --from-file=keys.yaml=/dev/stdin --dry-run=client -o yaml | kubectl apply -f -`"
	if before, ok := errors.AsType[*beforeError](err); ok {
		return before.error
	}
	switch {
	case errors.Is(err, syscall.EROFS):
		return &UnwritableError{path, "it is on a read-only file system, as a mounted Secret or ConfigMap is", instead, err}
	case errors.Is(err, syscall.EBUSY):
		return &UnwritableError{path, "it is a mount point of its own and cannot be replaced", "mount its directory, or " + instead, err}
	case errors.Is(err, fs.ErrPermission):
		return &UnwritableError{path, "no permission to write in its directory", "run this as its owner, or " + instead, err}
	case errors.Is(err, fs.ErrNotExist):
		return &UnwritableError{path, "its directory " + filepath.Dir(path) + " does not exist", "make it, or name another file with --keys", err}
	}
	return fmt.Errorf("editing key file %q: %w", path, err)
}
