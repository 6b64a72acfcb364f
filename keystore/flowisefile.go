package keystore

import (
	"fmt"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// flowiseFile is a key file of Flowise and what it holds.
type flowiseFile struct {
	*watch.File
	keys   []apiKey
	err    error
	isNew  bool // it does not hold what is active
	isLost bool // Flowise has lost its keys, and none of those that are active is back
}

// readFlowise reads Flowise's key file and reports whether its keys, or its fault, differ from last time. If explicit,
// the file is taken as it is, even if Flowise seems to have lost its keys.
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
	f.flowise.isNew = f.flowise.isNew || changed
	return changed
}

func (f *flowiseFile) read() ([]apiKey, error) {
	data, err := f.Read()
	if err != nil {
		return nil, err
	}
	keys, err := parseFlowiseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path(), err)
	}
	return keys, nil
}

// flowiseKeys returns the keys in Flowise's file, given the name by which a key file refers to it.
func (f *files) flowiseKeys(keyFile, name string, explicit bool) ([]apiKey, error) {
	path := flowiseKeysPath(keyFile, name)
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

// flowiseHold returns how much longer Flowise's file must stay unchanged before a fault is reported. A change need not
// wait: the file is a JSON array, which is not valid until it is complete.
func (f *files) flowiseHold() time.Duration {
	if f.flowise != nil && f.flowise.InPlace() {
		return settleTime - f.flowise.Age()
	}
	return 0
}
