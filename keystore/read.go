package keystore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// The largest files that are read, in bytes. A million keys in JSON take 116 MiB, and a key of Flowise some 250 bytes.
const (
	MaxFile        = 512 << 20 // of the key file
	maxFlowiseFile = 16 << 20
)

// files are the files that a Store reads.
type files struct {
	keys    *watch.File
	flowise *flowiseFile // nil if the key file names none
	// snapshot and err are what the files meant when they were last read: one of them is nil.
	snapshot *Snapshot
	err      error
	// lastPath and lastKeys are the file of Flowise, and the keys in it, as the active snapshot has them.
	lastPath string
	lastKeys []apiKey
}

// read returns what the files mean, which is the same as before if they have not changed. An explicit reading takes
// Flowise's as it is.
func (f *files) read(explicit bool) (*Snapshot, error) {
	content, changed, err := f.keys.Open()
	if err != nil {
		f.snapshot, f.err = nil, ReadError(f.keys.Path(), err)
		return nil, f.err
	}
	if f.flowise != nil {
		changed = f.readFlowise(explicit) || changed
	}
	if changed {
		f.snapshot, f.err = f.parse(content.SectionReader, explicit)
	}
	if err := content.Close(); err != nil && changed {
		f.snapshot, f.err = nil, ReadError(f.keys.Path(), err)
	}
	return f.snapshot, f.err
}

// flowiseFile is a key file of Flowise and what it holds.
type flowiseFile struct {
	*watch.File
	keys   []apiKey
	err    error
	isLost bool // Flowise has lost its keys, and none of those that are active is back
}

// readFlowise reads the key file of Flowise and reports whether it holds anything else than before.
func (f *files) readFlowise(explicit bool) (changed bool) {
	keys, err := f.flowise.read()
	if err == nil {
		f.flowise.isLost = !explicit && f.flowise.Path() == f.lastPath && isReset(f.lastKeys, keys, f.flowise.isLost)
	}
	if err == nil && f.flowise.isLost {
		err = fmt.Errorf("%s: Flowise has lost its keys and made a fresh %s, so its old keys stay active; if that was meant, reload by SIGHUP or POST /-/reload, and if not, put the file back", f.lastPath, flowiseDefault)
	}
	changed = !slices.Equal(keys, f.flowise.keys) || fmt.Sprint(err) != fmt.Sprint(f.flowise.err)
	f.flowise.keys, f.flowise.err = keys, err
	return changed
}

func (f *flowiseFile) read() ([]apiKey, error) {
	content, _, err := f.Open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(content)
	if err = errors.Join(err, content.Close()); err != nil {
		return nil, err
	}
	keys, err := parseFlowiseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path(), err)
	}
	return keys, nil
}

// flowiseKeys returns the keys in the file of Flowise that the key file calls by this name.
func (f *files) flowiseKeys(name string, explicit bool) ([]apiKey, error) {
	path := flowiseKeysPath(f.keys.Path(), name)
	if f.flowise == nil || f.flowise.Path() != path {
		f.flowise = &flowiseFile{File: watch.NewFile(path, maxFlowiseFile)}
		f.readFlowise(explicit)
	}
	return f.flowise.keys, f.flowise.err
}

// keepFlowise remembers the keys of Flowise, now that they are active.
func (f *files) keepFlowise() {
	f.lastPath, f.lastKeys = "", nil
	if f.flowise != nil {
		f.lastPath, f.lastKeys = f.flowise.Path(), f.flowise.keys
	}
}

// holds returns how much longer the key file must be unchanged if it is written in place, and how much longer all of the
// files. Flowise's is JSON, of which no beginning is valid, so this matters only for a fault.
func (f *files) holds() (keys, all time.Duration) {
	if f.keys.InPlace() {
		keys = settleTime - f.keys.Age()
	}
	if f.flowise != nil && f.flowise.InPlace() {
		return keys, max(keys, settleTime-f.flowise.Age())
	}
	return keys, keys
}

// parse makes a snapshot of the key file, with the keys of Flowise if it names them.
func (f *files) parse(content *io.SectionReader, explicit bool) (*Snapshot, error) {
	from := func(keys func(name string) ([]apiKey, error)) (*Snapshot, error) {
		var used []apiKey
		sources := []source{{path: f.keys.Path(), content: content}}
		next, err := parse(f.keys.Path(), sources, parseOptions{flowise: func(_, name string) (_ []apiKey, err error) {
			used, err = keys(name)
			return used, err
		}})
		if err == nil {
			next.hash = hashOf(f.keys.Digest(), used)
		}
		return next, err
	}
	next, err := from(func(name string) ([]apiKey, error) { return f.flowiseKeys(name, explicit) })
	if err != nil && f.flowise != nil && f.flowise.Path() == f.lastPath &&
		(f.flowise.err != nil || !slices.Equal(f.flowise.keys, f.lastKeys)) {
		// Flowise may be the cause. That must not keep a key from being revoked here, so its last keys stay.
		if last, lastErr := from(func(string) ([]apiKey, error) { return f.lastKeys, nil }); lastErr == nil {
			last.flowiseFault = err
			next, err = last, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if next.flowiseName == "" {
		f.flowise = nil
	} else {
		next.flowisePath = f.flowise.Path()
	}
	return next, nil
}

// hashOf returns the hash of a snapshot by the digest of the key file and the keys of Flowise, of which there may be none.
func hashOf(file [sha256.Size]byte, flowise []apiKey) string {
	if flowise != nil {
		h := sha256.New()
		h.Write(file[:])
		_ = json.NewEncoder(h).Encode(flowise) // neither texts nor a hash fail
		h.Sum(file[:0])
	}
	return hex.EncodeToString(file[:4])
}

// ReadFile returns the content of the key file at path, for those who edit it.
func ReadFile(path string) ([]byte, error) {
	content, _, err := watch.NewFile(path, MaxFile).Open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(content)
	return data, errors.Join(err, content.Close())
}

// ReadError says what to do if the key file at path cannot be read.
func ReadError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading key file %q: it does not exist; name another with --keys, or make it with `flowlatch key new`", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("reading key file %q: permission denied; the user that runs flowlatch must be able to read it and enter its directory", path)
	}
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		err = at.Err // the path is there already
	}
	return fmt.Errorf("reading key file %q: %w", path, err)
}
