package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// limits are how much of a directory is read.
type limits struct {
	entries int   // names in it
	files   int   // key files, each of which is read every [watch.Poll]
	file    int64 // bytes of one key file, so that none can use up the total by itself
	bytes   int64 // bytes of all key files together
}

var directoryLimits = limits{entries: 10_000, files: 1000, file: 16 << 20, bytes: MaxFile}

// errTogether is the error for a file that would make the key files of a directory larger, together, than a single key
// file may be.
var errTogether = fmt.Errorf("the key files of its directory are larger than %d MiB together, the most that is read", MaxFile>>20)

// ErrNoKeyFile is part of the error for a directory that has no key file at all.
var ErrNoKeyFile = errors.New("it is a directory without a key file")

// IsKeyFile reports whether a file with this name in a directory is a key file. Such a name needs no quotes in a log line
// or a metric label, and has no slash.
func IsKeyFile(name string) bool { return looksLikeKeyFile(name) && ValidateID(name) == nil }

func looksLikeKeyFile(name string) bool {
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

// listDirectory finds the key files in the directory and inserts new ones into f.list, which is in byte order. err says
// what is wrong with the directory itself. isUnlisted says that because of it nothing is known about its files.
func (f *files) listDirectory() (isUnlisted bool, err error) {
	entries, err := watch.ReadDir(f.path, f.limits.entries)
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err // the message has the path already
	}
	if err != nil {
		return true, fmt.Errorf("reading key files of %q: %w", f.path, err)
	}
	for _, k := range f.list {
		k.isListed = len(entries) == f.limits.entries // it may be among the entries beyond the limit
	}
	found, tooMany, odd := 0, 0, ""
	for _, e := range entries {
		i, known := slices.BinarySearchFunc(f.list, e.Name(), func(k *keyFile, name string) int { return strings.Compare(k.name(), name) })
		switch {
		case !looksLikeKeyFile(e.Name()):
		case !IsKeyFile(e.Name()):
			odd = e.Name()
		case known:
			found++
			f.list[i].isListed = true
		case e.IsDir():
		case len(f.list) >= f.limits.files:
			tooMany++
		default:
			found++
			k := f.newKeyFile(filepath.Join(f.path, e.Name()))
			k.isListed = true
			f.list = slices.Insert(f.list, i, k)
		}
	}
	switch {
	case len(entries) == f.limits.entries:
		return false, fmt.Errorf("reading key files of %q: it has %d files or more, so new ones may not be seen; move those elsewhere that are no key files", f.path, f.limits.entries)
	case odd != "":
		return found == 0, fmt.Errorf("reading key files of %q: %q is not read: the name of a key file has only letters, digits and . _ ~ @ -, and at most 128 of them; rename it", f.path, odd)
	case found == 0:
		return true, fmt.Errorf("reading key files of %q: %w (*.yaml, *.yml or *.json)", f.path, ErrNoKeyFile)
	case tooMany > 0:
		return false, fmt.Errorf("reading key files of %q: it has more than %d key files; not read: %d; list several keys in each", f.path, f.limits.files, tooMany)
	}
	return false, nil
}

func (f *files) newKeyFile(path string) *keyFile {
	return &keyFile{File: watch.NewFile(path, f.limits.file), path: path, required: slices.Contains(f.require, filepath.Base(path))}
}

// look reads every file and reports whether anything has changed.
func (f *files) look() (changed bool) {
	var total int64
	for _, k := range f.list {
		total += k.size()
	}
	for _, k := range f.list {
		others := total - k.size()
		if k.look(f.isDirectory, f.limits.bytes-others) {
			k.change, changed = f.looks, true
		}
		total = others + k.size()
	}
	// Forget files that are gone and never were active.
	n := len(f.list)
	f.list = slices.DeleteFunc(f.list, func(k *keyFile) bool { return k.isGone && k.active == nil })
	return changed || len(f.list) < n
}
