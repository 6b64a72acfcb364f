package edit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Create writes a new file that only its owner may read, such as one with a secret. It never overwrites a file, and once
// it has returned the new one survives a power failure. After an error there is no file.
func Create(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s exists already, and is not overwritten; name another file", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: its directory does not exist", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: no permission to write in its directory", path)
	case err != nil:
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(path)
		}
	}()
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	_, err = f.Write(data)
	return cmp.Or(err, f.Sync(), f.Close(), syncDir(dir))
}
