package keystore

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// keyFile is a key file: what was found in it, what is active of it, and what is decided about the difference.
type keyFile struct {
	*watch.File
	path     string
	required bool // that it is gone is a fault
	isListed bool // the directory has an entry for it, which may be a link to nothing

	isNew     bool // something else was found than is active
	found     *io.SectionReader
	err       error // why found is nil, unless the file is gone
	isGone    bool
	change    uint64    // the look that found it
	settledAt time.Time // from when it is complete, if it was written in place or is gone
	opened    io.Closer // found, if that is not in memory

	// active is what is active of it, which is parsed again when another file changes; nil if that is nothing. That of a single
	// file is not kept: nothing else can change.
	active       *io.SectionReader
	activeDigest [sha256.Size]byte

	previous previous
	use      bool // found, in place of active
	verdict  verdict
}

// name is what logs and metrics call the file.
func (k *keyFile) name() string { return filepath.Base(k.path) }

// look reads the file and reports whether anything else was found than before. keep says that the content is kept, if it is
// not larger than limit; otherwise it can be read until close is called.
func (k *keyFile) look(keep bool, limit int64) (changed bool) {
	content, changed, err := k.Open()
	switch {
	case err == nil && !keep:
		k.found, k.opened = content.SectionReader, content
	case err == nil:
		if changed = changed || k.found == nil; changed {
			k.found, err = inMemory(content, limit)
		}
		err = errors.Join(err, content.Close())
	}
	wasGone, was := k.isGone, k.err
	k.isGone, k.err = errors.Is(err, fs.ErrNotExist) && keep && !k.required && (k.active != nil || !k.isListed), nil
	switch {
	case k.isGone:
		k.found = nil
		if changed = !wasGone; changed {
			k.settledAt = time.Now().Add(settleTime)
		}
	case err != nil:
		if errors.Is(err, watch.ErrChanging) {
			k.settledAt = time.Now().Add(settleTime)
		}
		k.found, k.err = nil, ReadError(k.path, err)
		changed = was == nil || was.Error() != k.err.Error()
	case k.InPlace():
		k.settledAt = time.Now().Add(settleTime - k.Age())
	default:
		k.settledAt = time.Time{}
	}
	k.isNew = k.isNew || changed
	return changed
}

func inMemory(content io.Reader, limit int64) (*io.SectionReader, error) {
	data, err := io.ReadAll(io.LimitReader(content, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = errTogether
	}
	if err != nil {
		return nil, err
	}
	return section(data), nil
}

// size is how many bytes are kept of the file.
func (k *keyFile) size() (n int64) {
	for _, r := range []*io.SectionReader{k.found, k.active} {
		if r != nil {
			n = max(n, r.Size())
		}
	}
	return n
}

// close closes the content. After an error, what was parsed of it is not to be used.
func (k *keyFile) close() (err error) {
	if k.opened != nil {
		err = k.opened.Close()
		k.opened = nil
	}
	return err
}

// hold returns how much longer the file must be unchanged, if it is written in place or gone.
func (k *keyFile) hold(at time.Time) time.Duration {
	if k.settledAt.IsZero() {
		return 0
	}
	return k.settledAt.Sub(at)
}

// source returns what is to be parsed of the file. ok is false if that is nothing.
func (k *keyFile) source() (s source, ok bool) {
	s = source{path: k.path, content: k.active, digest: k.activeDigest, standsIn: k.isNew}
	switch {
	case k.use:
		s = source{path: k.path, content: k.found, digest: k.Digest(), change: k.change}
		if k.previous.fault != nil { // it is tried again, as though it had changed just now
			s.change += 1 << 62
		}
	case !k.isNew && s.content == nil:
		s.content = k.found
	}
	return s, s.content != nil
}

// applied notes that found is active, if it was used. keep is as for look.
func (k *keyFile) applied(keep bool) {
	if !k.use {
		return
	}
	k.isNew, k.use = false, false
	if k.active = nil; keep {
		k.active = k.found
	}
	k.activeDigest = k.Digest()
}
