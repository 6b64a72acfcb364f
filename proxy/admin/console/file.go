package console

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy"
)

// file is the key file as it is on disk, which need not be what is applied; or all of a directory of key files.
type file struct {
	version  string            // of all together: see edit.Version
	versions map[string]string // of each, by its path
	snapshot *keystore.Snapshot
}

// maxFile is the size of the largest key file that is edited here, in bytes, or of all in a directory: some 20,000 keys. An
// edit takes seventy times as much memory for a moment, which a gate in a small container may not have.
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
	if f.snapshot.Hash() == f.version[:8] { // it is what is applied, which is the usual case
		return f, nil
	}
	if f.snapshot, err = keystore.ParseDraft(c.path, data); err != nil {
		return nil, newProblem(fileInvalid, fmt.Sprintf("the key file is invalid, so it cannot be changed here; the last good keys stay active. Correct it by hand:\n%v", err))
	}
	return f, nil
}

// unreadable is the problem of a key file that cannot be read.
func unreadable(path string, err error) *Problem {
	p := newProblem(fileInvalid, keystore.ReadError(path, err).Error())
	if errors.Is(err, watch.ErrTooLarge) {
		p.Detail += "; change it by `flowlatch key`, or by the program that writes it"
	}
	return p
}

// readDirectory reads the key files of the directory. If one of them has a fault, what is applied is shown in place of what is
// there: a broken file of one team must not keep another from revoking a key.
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

// place returns the path of the file that gets what is new. name is that of one in the directory, if there is one; it need not
// exist.
func (c *Console) place(f *file, name string) (string, *Problem) {
	switch isDirectory := f.snapshot.IsDirectory(); {
	case !isDirectory && name == "":
		return c.path, nil
	case !isDirectory:
		return "", newProblem(malformed, "file: it is for a directory of key files, and --keys names a file; leave it out")
	case name == "":
		return "", newProblem(malformed, "file: --keys names a directory; say which key file in it gets this, such as team.yaml")
	case !keystore.IsKeyFile(name) || filepath.Base(name) != name:
		return "", newProblem(malformed, fmt.Sprintf("file: %.100q: want the name of a file in the directory, such as team.yaml (*.yaml, *.yml or *.json, not hidden)", name))
	}
	return filepath.Join(c.path, name), nil
}

// change is something to do to the key file.
type change struct {
	action    string   // for the log: make, rotate …
	key       string   // its ID, or empty
	chatflows []string // their IDs, or empty
	secret    string   // new, or empty
	file      string   // path of the key file to edit
	// version is that of the file which the change was made for; empty for any.
	version string
	edit    func(file string, data []byte) ([]byte, error)
}

// Changed says what became of a change that was made.
type Changed struct {
	// Version is that of the key file now.
	Version string `json:"version"`
	// Generation is that of the keys which are active now.
	Generation uint64 `json:"generation"`
	// Secret is the new secret of a key. It is stored nowhere and is not shown again.
	Secret string `json:"secret,omitempty"`
}

// apply makes a change: it edits the key file and reloads it. f is the file as it was read for that, by is who asked, for the
// log.
func (c *Console) apply(by operator, f *file, ch change) (*Changed, *Problem) {
	var next []byte
	var stop *Problem
	before := c.opts.Store.Status().Generation
	var o edit.Options
	if ch.version != "" {
		if ch.version != f.version {
			return nil, changedMeanwhile(f.version)
		}
		if o.Version = f.versions[ch.file]; o.Version == "" {
			o.Version = edit.Version(nil) // a new file
		}
	}
	_, err := edit.File(ch.file, o, func(data []byte) ([]byte, error) {
		edited, err := ch.edit(ch.file, data)
		if err == nil {
			err = c.check(ch.file, edited)
		}
		if err != nil {
			stop = newProblem(refused, err.Error())
			return nil, err
		}
		next = edited
		return next, nil
	})
	conflict := (*edit.ConflictError)(nil)
	switch {
	case errors.As(err, &conflict):
		return nil, changedMeanwhile(conflict.Have)
	case stop != nil:
		return nil, stop
	case err != nil && !errors.Is(err, edit.ErrChanged):
		if next == nil { // nobody has looked at the ID, which may be a secret by mistake
			ch.key, ch.chatflows = "", nil
		}
		by.describe(c.opts.Log.Warn().Err(err), ch).Msg("key file cannot be written; a change on the console was not made")
		return nil, unwritten(err, next, ch)
	}
	c.opts.Store.Refresh()
	st := c.opts.Store.Status()
	// The fault may be that of another file, such as Flowise's own.
	if err := faultOf(st, ch.file); err != nil && st.Generation == before {
		by.describe(c.opts.Log.Error().Err(err), ch).Msg("key file changed on the console, but not applied")
		p := newProblem(notApplied, fmt.Sprintf("the key file has the change, but it is not applied, and the last good keys stay active:\n%v", err))
		p.Secret = ch.secret
		return nil, p
	}
	by.describe(c.opts.Log.Info().Uint64("generation", st.Generation), ch).Msg("key file changed on the console")
	changed := &Changed{Generation: st.Generation, Secret: ch.secret}
	if f, p := c.read(); p == nil {
		changed.Version = f.version
	}
	return changed, nil
}

func changedMeanwhile(version string) *Problem {
	p := newProblem(versionChanged, "the key file has changed since you looked at it, so nothing was done; look at it again, and repeat the change if you still want it")
	p.Version = version
	return p
}

// faultOf returns why what is in a key file is not applied, or nil if it is.
func faultOf(st keystore.Status, path string) error {
	for _, f := range st.Files { // of a directory
		if f.File == filepath.Base(path) {
			return f.Err
		}
	}
	return st.Err
}

// check returns why the gate would not apply a key file.
func (c *Console) check(path string, data []byte) error {
	if c.opts.Store.Snapshot().IsDirectory() {
		return keystore.CheckPart(path, data)
	}
	next, err := keystore.ParseDraft(path, data)
	if err != nil {
		return err
	}
	return proxy.CheckKeyFile(next, c.opts.Preset)
}

// unwritten is the problem of a key file that cannot be written. next is what it should become, if it came to that.
func unwritten(err error, next []byte, ch change) *Problem {
	p := newProblem(notWritable, err.Error())
	if next != nil {
		p.File, p.NewFile, p.Secret = ch.file, string(next), ch.secret
	}
	return p
}
