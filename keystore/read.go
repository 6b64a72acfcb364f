package keystore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// The largest files that are read, in bytes. A million keys in JSON take 116 MiB, and a key of Flowise some 250 bytes.
const (
	MaxFile        = 512 << 20 // of the key file
	maxFlowiseFile = 16 << 20
)

// files are the files that a Store reads.
type files struct {
	path        string
	isDirectory bool
	list        []*keyFile // in byte order; just one if path is not a directory
	require     []string   // names of files that a directory must have
	limits      limits
	mayBeEmpty  bool   // see Options
	looks       uint64 // counts the calls of read

	directoryErr      error // what is wrong with the directory itself
	directoryPrevious previous
	isUnlisted        bool // directoryErr leaves nothing known about its files

	flowise         *flowiseFile // nil if no key file names one
	flowisePrevious previous
	// lastPath is the key file of Flowise that the active snapshot uses, and lastKeys are the keys in it.
	lastPath string
	lastKeys []apiKey

	// meanings caches what the files mean together, by the set of files whose new content is used. It is emptied when a
	// file has changed, or new content was applied.
	meanings map[string]meaning
}

// meaning is what files mean together: a snapshot or an error; the other is nil.
type meaning struct {
	snapshot *Snapshot
	err      error
}

// newFiles returns the files at path, which have not been read yet.
func newFiles(path string, o Options) (files, error) {
	f := files{path: path, limits: directoryLimits, require: o.Require, mayBeEmpty: o.MayBeEmpty, isDirectory: o.Content == nil && watch.IsDir(path)}
	switch {
	case o.Content != nil:
		f.list = []*keyFile{{File: watch.Fixed(path, o.Content), path: path}}
	case !f.isDirectory:
		f.list = []*keyFile{{File: watch.NewFile(path, MaxFile), path: path}}
	}
	if !f.isDirectory && len(o.Require) > 0 {
		return f, fmt.Errorf("key file %q: --keys-require names files of a directory, and this is none; name the directory with --keys", path)
	}
	for _, name := range o.Require {
		f.list = append(f.list, f.newKeyFile(filepath.Join(path, name)))
	}
	slices.SortFunc(f.list, func(a, b *keyFile) int { return strings.Compare(a.path, b.path) })
	return f, nil
}

// read reads all files. If explicit, Flowise's file is taken as it is, even if Flowise seems to have lost its keys.
func (f *files) read(explicit bool) {
	f.looks++
	f.isUnlisted = false
	if f.isDirectory {
		f.isUnlisted, f.directoryErr = f.listDirectory()
	}
	changed := !f.isUnlisted && f.look()
	if f.flowise != nil {
		changed = f.readFlowise(explicit) || changed
	}
	if changed {
		f.meanings = map[string]meaning{}
	}
}

// mean returns what the files mean together: those with use set by their new content, the others by their active content.
// If there is nothing new to use, that is the active snapshot.
func (f *files) mean(active *Snapshot, explicit bool) (*Snapshot, error) {
	var choice strings.Builder
	for i, k := range f.list {
		if k.use {
			fmt.Fprint(&choice, i, " ")
		}
	}
	if m, known := f.meanings[choice.String()]; known {
		return m.snapshot, m.err
	}
	var sources []source
	for _, k := range f.list {
		if s, ok := k.source(); ok {
			sources = append(sources, s)
		}
	}
	if choice.Len() == 0 && (f.flowise == nil || !f.flowise.isNew) || sources == nil {
		return active, nil
	}
	var m meaning
	m.snapshot, m.err = f.parse(sources, active, explicit)
	for _, k := range f.list {
		if err := k.close(); err != nil {
			m = meaning{err: ReadError(k.path, err)}
		}
	}
	f.meanings[choice.String()] = m
	return m.snapshot, m.err
}

// close closes the files that look left open. It also releases the content of a single key file; that of a directory's
// files is kept, to be parsed again.
func (f *files) close() {
	for _, k := range f.list {
		_ = k.close() // nothing was parsed from it
		if !f.isDirectory {
			k.found = nil
		}
	}
}

// applied records that next, made from these files, is active.
func (f *files) applied(next *Snapshot) {
	for _, k := range f.list {
		k.applied(f.isDirectory)
	}
	f.list = slices.DeleteFunc(f.list, func(k *keyFile) bool { return k.isGone && !k.isNew })
	f.meanings = map[string]meaning{}
	if next.flowiseName == "" {
		f.flowise = nil
	}
	if f.flowise != nil {
		f.flowise.isNew = false
	}
	if next.flowiseFault == nil {
		f.keepFlowise()
	}
}

// parse makes a snapshot from key files, and from the keys of Flowise if a key file names them.
func (f *files) parse(sources []source, active *Snapshot, explicit bool) (*Snapshot, error) {
	from := func(keys func(keyFile, name string) ([]apiKey, error)) (*Snapshot, error) {
		var used []apiKey
		draft := f.mayBeEmpty && (active == nil || len(active.chatflows) == 0)
		options := parseOptions{directory: f.isDirectory, draft: draft, active: active, flowise: func(keyFile, name string) (_ []apiKey, err error) {
			used, err = keys(keyFile, name)
			return used, err
		}}
		next, err := parse(f.path, sources, options)
		if err == nil {
			next.hash = hashOf(f.isDirectory, sources, used)
		}
		return next, err
	}
	next, err := from(func(keyFile, name string) ([]apiKey, error) { return f.flowiseKeys(keyFile, name, explicit) })
	if err != nil && f.flowise != nil && f.flowise.Path() == f.lastPath &&
		(f.flowise.err != nil || !slices.Equal(f.flowise.keys, f.lastKeys)) {
		// Flowise's keys may be the cause. They must not keep a key from being revoked here, so use its last good ones.
		if last, lastErr := from(func(string, string) ([]apiKey, error) { return f.lastKeys, nil }); lastErr == nil {
			last.flowiseFault = err
			next, err = last, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if next.flowiseName != "" {
		next.flowisePath = f.flowise.Path()
	}
	return next, nil
}

// hashOf returns the hash of a snapshot. It covers the digests of the key files, in a directory also their names, and the
// keys of Flowise, unless there are none.
func hashOf(isDirectory bool, sources []source, flowise []apiKey) string {
	sum := sources[0].digest
	if isDirectory || flowise != nil {
		h := sha256.New()
		for _, s := range sources {
			if isDirectory {
				_ = json.NewEncoder(h).Encode(filepath.Base(s.path))
			}
			h.Write(s.digest[:])
		}
		if flowise != nil {
			_ = json.NewEncoder(h).Encode(flowise) // neither encoding strings nor writing to a hash can fail
		}
		h.Sum(sum[:0])
	}
	return hex.EncodeToString(sum[:4])
}

// ReadFile returns the content of the key file at path, for editing it.
func ReadFile(path string) ([]byte, error) { return watch.NewFile(path, MaxFile).Read() }

// MissingError says that there is no key file at a path.
type MissingError struct{ Path string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("reading key file %q: it does not exist; name another with --keys, or make it with `flowlatch key new`", e.Path)
}

// Is reports whether target is [fs.ErrNotExist].
func (e *MissingError) Is(target error) bool { return target == fs.ErrNotExist }

// ReadError wraps an error from reading the key file at path, and says what to do about it.
func ReadError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &MissingError{path}
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("reading key file %q: permission denied; the user that runs flowlatch must be able to read it and enter its directory", path)
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err // the message has the path already
	}
	return fmt.Errorf("reading key file %q: %w", path, err)
}
