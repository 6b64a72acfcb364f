package watch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// ReadFile returns the content of a regular file of at most limit bytes. The error is an [fs.PathError]. It is
// [ErrTimeout] if opening and reading the file take longer than [Timeout] together.
func ReadFile(path string, limit int64) ([]byte, error) {
	return limited(path, func() ([]byte, error) {
		file, _, err := open(path, limit)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		data, err := io.ReadAll(io.LimitReader(file, limit+1))
		if err == nil && int64(len(data)) > limit {
			err = tooLarge(path, limit)
		}
		return data, err
	}, nil)
}

// IsDir reports whether there is a directory at path. It is false if that is not known.
func IsDir(path string) bool {
	info, err := limited(path, func() (fs.FileInfo, error) { return os.Stat(path) }, nil)
	return err == nil && info.IsDir()
}

// ReadDir returns the entries of a directory in byte order, or limit of them if there are more.
func ReadDir(path string, limit int) ([]fs.DirEntry, error) {
	return limited(path, func() ([]fs.DirEntry, error) {
		dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		entries, err := dir.ReadDir(limit)
		if errors.Is(err, io.EOF) { // it is empty
			err = nil
		}
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		return entries, err
	}, nil)
}

// open opens a regular file of at most limit bytes. A named pipe that nobody writes to must not make it wait, and a
// device that never ends must not fill the memory. The file is checked twice: before it is opened, because opening a
// device can have effects, and afterwards, because it may be another file by then.
func open(path string, limit int64) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if err := isReadable(path, info, limit); err != nil {
		return nil, nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.EAGAIN) { // another program has a lease on the file (fcntl(2), F_SETLEASE)
		file, err = os.Open(path)
	}
	if err != nil {
		return nil, nil, err
	}
	if info, err = file.Stat(); err == nil {
		err = isReadable(path, info, limit)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// isReadable returns an error if the file must not be read.
func isReadable(path string, info fs.FileInfo, limit int64) error {
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is %s, not a regular file; name one that holds the content", kindOf(info.Mode()))}
	}
	if info.Size() > limit {
		return tooLarge(path, limit)
	}
	return nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// ErrTooLarge is what [errors.Is] finds in the error for a file that is larger than the limit.
var ErrTooLarge = errors.New("file too large")

type tooLargeError struct{ text string }

func (e tooLargeError) Error() string        { return e.text }
func (e tooLargeError) Is(target error) bool { return target == ErrTooLarge }

func tooLarge(path string, limit int64) error {
	text := fmt.Sprintf("%d KiB", limit>>10)
	if limit >= 1<<20 {
		text = fmt.Sprintf("%d MiB", limit>>20)
	}
	return &fs.PathError{Op: "read", Path: path, Err: tooLargeError{"it is larger than " + text + ", the most that is read"}}
}
