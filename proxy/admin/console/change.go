package console

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

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
	// version is that of the file that the change is based on; empty for any.
	version string
	// edits are of one key file, or of several in a directory. Their order is such that the first ones may be made
	// without the rest.
	edits []fileEdit
}

// fileEdit is an edit of the key file at a path.
type fileEdit struct {
	file string
	do   edit.Func
}

// Changed is the result of a change that was made.
type Changed struct {
	// Version is that of the key file now.
	Version string `json:"version"`
	// Generation is that of the keys that are active now.
	Generation uint64 `json:"generation"`
	// Secret is the new secret of a key. It is stored nowhere and is not shown again.
	Secret string `json:"secret,omitempty"`
}

// apply makes a change: it edits the key file and reloads it. f is the file as it was read for the change; by is who
// asked for it, for the log.
func (c *Console) apply(by operator, f *file, ch change) (*Changed, *Problem) {
	if ch.version != "" && ch.version != f.version {
		return nil, changedMeanwhile(f.version)
	}
	if p := rehearse(by, ch); p != nil {
		return nil, p
	}
	before := c.opts.Store.Status().Generation
	var done []string
	var stop *Problem
	for _, e := range ch.edits {
		if stop = c.edit(by, f, ch, e); stop != nil {
			break
		}
		done = append(done, filepath.Base(e.file))
	}
	if done == nil {
		return nil, stop
	}
	c.opts.Store.Refresh()
	st := c.opts.Store.Status()
	if stop != nil {
		by.describe(c.opts.Log.Error().Err(stop).Strs("files", done), ch).Msg("only some key files changed on the console")
		p := newProblem(partlyDone, fmt.Sprintf("%s has its part of the change, and %s has not: %s", strings.Join(done, ", "), filepath.Base(ch.edits[len(done)].file), stop.Detail))
		p.Secret = ch.secret
		return nil, p
	}
	for _, e := range ch.edits {
		// The fault may be that of another file, such as Flowise's own.
		if err := faultOf(st, e.file); err != nil && st.Generation == before {
			by.describe(c.opts.Log.Error().Err(err), ch).Msg("key file changed on the console, but not applied")
			p := newProblem(notApplied, fmt.Sprintf("the key file has the change, but it is not applied, and the last good keys stay active:\n%v", err))
			p.Secret = ch.secret
			return nil, p
		}
	}
	by.describe(c.opts.Log.Info().Uint64("generation", st.Generation), ch).Msg("key file changed on the console")
	changed := &Changed{Generation: st.Generation, Secret: ch.secret}
	if f, p := c.read(); p == nil {
		changed.Version = f.version
	}
	return changed, nil
}

// rehearse tries several edits in memory before any of them is made, and returns why one cannot be made.
func rehearse(by operator, ch change) *Problem {
	if len(ch.edits) == 1 {
		return nil
	}
	for _, e := range ch.edits {
		if err := edit.Try(e.file, e.do); err != nil {
			return by.refusal(err)
		}
	}
	return nil
}

// refusal returns the problem of a change that cannot be made. It says what to do about it here, where there are no
// flags.
func (o operator) refusal(err error) *Problem {
	text, missing := err.Error(), (*keystore.MissingError)(nil)
	switch noKey := errors.As(err, new(*edit.NoKeyError)); {
	case noKey && o.session == "":
		text += `: send "close": true for that`
	case noKey:
		text += ": tick the box to close it"
	case errors.As(err, &missing):
		text = gone(missing.Path)
	}
	return newProblem(refused, text)
}

// edit makes one edit of a change.
func (c *Console) edit(by operator, f *file, ch change, e fileEdit) *Problem {
	var o edit.Options
	if ch.version != "" {
		if o.Version = f.versions[e.file]; o.Version == "" {
			o.Version = edit.Version(nil) // a new file
		}
	}
	var next []byte
	var stop *Problem
	_, err := edit.File(e.file, o, func(data []byte) ([]byte, error) {
		edited, err := e.do(data)
		if err == nil {
			err = c.check(e.file, edited)
		}
		if err != nil {
			stop = by.refusal(err)
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
		return changedMeanwhile(version)
	case stop != nil:
		return stop
	case err == nil || errors.Is(err, edit.ErrChanged):
		return nil
	}
	if next == nil { // the ID has not been checked, and may be a secret by mistake
		ch.key, ch.chatflows = "", nil
	}
	p := newProblem(notWritable, whyUnwritten(err))
	by.describe(c.opts.Log.Warn().AnErr("error", p), ch).Msg("key file cannot be written; a change on the console was not made")
	if next != nil {
		p.File, p.NewFile, p.Secret = e.file, string(next), ch.secret
	}
	return p
}

// whyUnwritten says why a key file cannot be written. It leaves out which command to use instead, because the page has
// the new file.
func whyUnwritten(err error) string {
	if unwritable, ok := errors.AsType[*edit.UnwritableError](err); ok {
		return fmt.Sprintf("%s: %s", unwritable.File, unwritable.Why)
	}
	return err.Error()
}

func changedMeanwhile(version string) *Problem {
	p := newProblem(versionChanged, "the key file has changed since you looked at it, so nothing was done; look at it again, and repeat the change if you still want it")
	p.Version = version
	return p
}

// faultOf returns why the content of a key file is not applied, or nil if it is.
func faultOf(st keystore.Status, path string) error {
	for _, f := range st.Files { // of a directory
		if f.File == filepath.Base(path) {
			return f.Err
		}
	}
	return st.Err
}

var errNoChatflow = errors.New("the key file would list no chatflow, and such a file is not applied, since it may be half written; leave this one to a key, which may be disabled")

// check returns an error if the gate would not apply a key file with this content.
func (c *Console) check(path string, data []byte) error {
	if c.opts.Store.Snapshot().IsDirectory() {
		return keystore.CheckPart(path, data)
	}
	next, err := keystore.ParseDraft(path, data)
	if err != nil {
		return err
	}
	if len(next.Chatflows()) == 0 && len(c.opts.Store.Snapshot().Chatflows()) > 0 {
		return errNoChatflow
	}
	return proxy.CheckKeyFile(next, c.opts.Preset)
}
