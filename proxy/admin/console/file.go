package console

import (
	"errors"
	"fmt"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
	"github.com/flowlatch/flowlatch/keystore/watch"
	"github.com/flowlatch/flowlatch/proxy"
)

// file is the key file as it is on disk, which need not be what is applied.
type file struct {
	version  string // see edit.Version
	snapshot *keystore.Snapshot
}

// maxFile is the size of the largest key file that is edited here, in bytes: some 20,000 keys. An edit takes seventy times as
// much memory for a moment, which a gate in a small container may not have.
const maxFile = 2 << 20

// read reads the key file.
func (c *Console) read() (*file, *Problem) {
	data, err := watch.ReadFile(c.path, maxFile)
	if err != nil {
		p := newProblem(fileInvalid, keystore.ReadError(c.path, err).Error())
		if errors.Is(err, watch.ErrTooLarge) {
			p.Detail += "; change it by `flowlatch key`, or by the program that writes it"
		}
		return nil, p
	}
	f := &file{version: edit.Version(data), snapshot: c.opts.Store.Snapshot()}
	if f.snapshot.Hash() == f.version[:8] { // it is what is applied, which is the usual case
		return f, nil
	}
	if f.snapshot, err = keystore.ParseDraft(c.path, data); err != nil {
		return nil, newProblem(fileInvalid, fmt.Sprintf("the key file is invalid, so it cannot be changed here; the last good keys stay active. Correct it by hand:\n%v", err))
	}
	return f, nil
}

// change is something to do to the key file.
type change struct {
	action    string   // for the log: make, rotate …
	key       string   // its ID, or empty
	chatflows []string // their IDs, or empty
	secret    string   // new, or empty
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

// apply makes a change: it edits the key file and reloads it. by is who asked, for the log.
func (c *Console) apply(by operator, ch change) (*Changed, *Problem) {
	var next []byte
	var stop *Problem
	o := edit.Options{Version: ch.version}
	_, err := edit.File(c.path, o, func(data []byte) ([]byte, error) {
		edited, err := ch.edit(c.path, data)
		if err == nil {
			err = c.check(edited)
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
		p := newProblem(versionChanged, "the key file has changed since you looked at it, so nothing was done; look at it again, and repeat the change if you still want it")
		p.Version = conflict.Have
		return nil, p
	case stop != nil:
		return nil, stop
	case err != nil && !errors.Is(err, edit.ErrChanged):
		if next == nil { // nobody has looked at the ID, which may be a secret by mistake
			ch.key, ch.chatflows = "", nil
		}
		by.describe(c.opts.Log.Warn().Err(err), ch).Msg("key file cannot be written; a change on the console was not made")
		return nil, unwritten(err, next, ch.secret)
	}
	r := c.opts.Store.Reload()
	if r.Result == keystore.Failed {
		by.describe(c.opts.Log.Error().Err(r.Err), ch).Msg("key file changed on the console, but not applied")
		p := newProblem(notApplied, fmt.Sprintf("the key file has the change, but it is not applied, and the last good keys stay active:\n%v", r.Err))
		p.Secret = ch.secret
		return nil, p
	}
	by.describe(c.opts.Log.Info().Uint64("generation", r.Generation), ch).Msg("key file changed on the console")
	return &Changed{Version: edit.Version(next), Generation: r.Generation, Secret: ch.secret}, nil
}

// check returns why the gate would not apply a key file.
func (c *Console) check(data []byte) error {
	next, err := keystore.ParseDraft(c.path, data)
	if err != nil {
		return err
	}
	return proxy.CheckKeyFile(next, c.opts.Preset)
}

// unwritten is the problem of a key file that cannot be written. next is what it should become, if it came to that.
func unwritten(err error, next []byte, secret string) *Problem {
	p := newProblem(notWritable, err.Error())
	if next != nil {
		p.NewFile, p.Secret = string(next), secret
	}
	return p
}
