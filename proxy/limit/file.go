package limit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// saveEvery is how often usage is saved.
const saveEvery = 10 * time.Second

// File keeps usage across restarts of a gate that counts alone. Only one process at a time may have it open.
type File struct {
	path string
	lock *os.File
}

// maxFile is the largest usage file, in bytes: as large as a key file may be.
const maxFile = 512 << 20

// saved is the content of a usage file. It is written with [Usage] as entries, and read with readUsage.
type saved[Entry any] struct {
	Version int       `json:"version"`
	Saved   time.Time `json:"saved"`
	Usage   []Entry   `json:"usage"`
}

// readUsage is [Usage] as it is read. Its numbers are -1 where the file has none, so that a missing number is not taken
// for zero.
type readUsage struct{ Usage }

// UnmarshalJSON implements json.Unmarshaler.
func (u *readUsage) UnmarshalJSON(b []byte) error {
	u.Usage = Usage{Requests: -1, Refused: -1, StreamMillis: -1, Bytes: -1}
	return decode(b, &u.Usage)
}

// decode decodes JSON and refuses unknown fields.
func decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// parse returns the usage in the content of a usage file.
func parse(data []byte) ([]Usage, error) {
	var s saved[readUsage]
	err := decode(data, &s)
	switch {
	case err != nil:
		return nil, err
	case !jsontext.Value(data).IsValid():
		return nil, errors.New("something follows its JSON, or a name occurs twice in it")
	case s.Version != 1:
		return nil, fmt.Errorf("its version is %d, this gate reads 1", s.Version)
	case s.Usage == nil:
		return nil, errors.New("it has no list `usage`, which is empty if nothing was used")
	}
	all := make([]Usage, len(s.Usage))
	for i := range all {
		all[i] = s.Usage[i].Usage
	}
	return all, nil
}

// OpenFile opens a usage file and adds the usage in it to l. A file that does not exist is created. An invalid file is an
// error, because usage must not start from zero unnoticed.
func OpenFile(path string, l *Local, now time.Time) (*File, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("usage file %q: %w", path, err)
	}
	f := &File{path, lock}
	if err := f.open(l, now); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) open(l *Local, now time.Time) error {
	if err := syscall.Flock(int(f.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("usage file %q: another process has it open (%s.lock is locked); each gate needs a file of its own, or --limits-redis for all", f.path, f.path)
	}
	data, err := watch.ReadFile(f.path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.Save(l, now)
	case err != nil:
		return fmt.Errorf("usage file: %w", err)
	}
	all, err := parse(data)
	if err == nil {
		err = l.Restore(all)
	}
	if err != nil {
		return fmt.Errorf("usage file %q is not valid: %w; repair it, or move it away to begin with no usage", f.path, err)
	}
	return nil
}

// Save writes the usage of l. It replaces the file as a whole.
func (f *File) Save(l *Local, now time.Time) error {
	all, _ := l.Usage(context.Background(), now) // never fails
	data, err := json.Marshal(saved[Usage]{Version: 1, Saved: now.UTC(), Usage: append([]Usage{}, all...)})
	if err == nil {
		err = edit.Replace(f.path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("usage file %q: %w; usage since the last time it was written is lost if the gate ends now", f.path, err)
	}
	return nil
}

// Close unlocks the file, so that another process can open it.
func (f *File) Close() { f.lock.Close() }

// Run saves the usage every saveEvery until ctx is done, then once more, and closes the file. It calls result after
// each save.
func (f *File) Run(ctx context.Context, l *Local, result func(error)) {
	defer f.Close()
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			result(f.Save(l, time.Now()))
			return
		case <-tick.C:
			result(f.Save(l, time.Now()))
		}
	}
}
