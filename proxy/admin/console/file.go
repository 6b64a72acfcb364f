package console

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// file is the key file as it is on disk, or all files of a directory of key files. It need not be what is applied.
type file struct {
	version  string            // of all together: see edit.Version
	versions map[string]string // of each, by its path
	snapshot *keystore.Snapshot
}

// maxFile is the size in bytes of the largest key file that is edited here, or of all files in a directory together:
// some 20,000 keys. An edit takes eighty times as much memory for a moment, which a gate in a small container may not
// have.
const maxFile = 2 << 20

// read reads the key file, or all of the directory.
func (c *Console) read() (*file, *Problem) {
	if c.opts.Store.Snapshot().IsDirectory() {
		return c.readDirectory()
	}
	data, err := watch.ReadFile(c.path, maxFile)
	if err != nil {
		return nil, unreadable(c.path, err)
	}
	f := &file{version: edit.Version(data), snapshot: c.opts.Store.Snapshot()}
	f.versions = map[string]string{c.path: f.version}
	if f.snapshot.Hash() == f.version[:8] { // it is what is applied: the usual case
		return f, nil
	}
	if store, err := keystore.Open(c.path, keystore.Options{Content: data, MayBeEmpty: true}); err == nil { // with the keys of Flowise's file
		f.snapshot = store.Snapshot()
		return f, nil
	}
	if f.snapshot, err = keystore.ParseDraft(c.path, data); err != nil {
		return nil, newProblem(fileInvalid, fmt.Sprintf("the key file is invalid, so it cannot be changed here; the last good keys stay active. Correct it by hand:\n%v", err))
	}
	return f, nil
}

// unreadable returns the problem of a key file that cannot be read.
func unreadable(path string, err error) *Problem {
	if errors.Is(err, fs.ErrNotExist) {
		return newProblem(fileInvalid, gone(path))
	}
	p := newProblem(fileInvalid, keystore.ReadError(path, err).Error())
	if errors.Is(err, watch.ErrTooLarge) {
		p.Detail += "; change it by `flowlatch key`, or by the program that writes it"
	}
	return p
}

// gone says that a key file is not there, and what to do.
func gone(path string) string {
	return fmt.Sprintf("the key file %s is not there any more; the last good keys stay active. Put it back, and try again", path)
}

// readDirectory reads the key files of the directory. If one of them has a fault, snapshot is what is applied and not
// what is on disk, since a broken file of one team must not keep another team from revoking a key.
func (c *Console) readDirectory() (*file, *Problem) {
	f := &file{versions: map[string]string{}}
	var all strings.Builder // all versions
	size := 0
	for _, st := range c.opts.Store.Status().Files {
		if !keystore.IsKeyFile(st.File) {
			continue // the directory itself, or the file of Flowise
		}
		path := filepath.Join(c.path, st.File)
		data, err := watch.ReadFile(path, maxFile)
		if size += len(data); errors.Is(err, watch.ErrTooLarge) || size > maxFile {
			return nil, unreadable(c.path, watch.ErrTooLarge)
		}
		f.versions[path] = edit.Version(data)
		fmt.Fprintln(&all, st.File, f.versions[path])
	}
	f.version = edit.Version([]byte(all.String()))
	f.snapshot = c.opts.Store.Snapshot()
	if store, err := keystore.Open(c.path, keystore.Options{MayBeEmpty: true}); err == nil {
		f.snapshot = store.Snapshot()
	}
	return f, nil
}

// place returns the path of the file that gets what is new. If there is a directory, name is that of a file in it,
// which need not exist; otherwise name must be empty.
func (c *Console) place(f *file, name string) (string, *Problem) {
	switch isDirectory := f.snapshot.IsDirectory(); {
	case !isDirectory && name == "":
		return c.path, nil
	case !isDirectory:
		return "", newProblem(malformed, "file: it is for a directory of key files, and this gate has one file; leave it out")
	case name == "":
		return "", newProblem(malformed, "file: this gate has a directory of key files; say which key file gets this, such as team.yaml")
	case !keystore.IsKeyFile(name):
		return "", newProblem(malformed, fmt.Sprintf("file: %.100q: want the name of a file in the directory, such as team.yaml (*.yaml, *.yml or *.json, not hidden)", name))
	}
	return filepath.Join(c.path, name), nil
}
