package console

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/proxy"
)

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
		version := conflict.Have
		if now, p := c.read(); p == nil { // that of the whole directory, if it is one
			version = now.version
		}
		return nil, changedMeanwhile(version)
	case stop != nil:
		return nil, stop
	case err != nil && !errors.Is(err, edit.ErrChanged):
		if next == nil { // nobody has looked at the ID, which may be a secret by mistake
			ch.key, ch.chatflows = "", nil
		}
		p := unwritten(err, next, ch)
		by.describe(c.opts.Log.Warn().AnErr("error", p), ch).Msg("key file cannot be written; a change on the console was not made")
		return nil, p
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
	if unwritable := (*edit.UnwritableError)(nil); errors.As(err, &unwritable) { // what to do instead is on the page
		p.Detail = fmt.Sprintf("%s: %s", unwritable.File, unwritable.Why)
	}
	if next != nil {
		p.File, p.NewFile, p.Secret = ch.file, string(next), ch.secret
	}
	return p
}
