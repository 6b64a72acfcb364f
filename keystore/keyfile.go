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

// keyFile is a key file: the content that was last found, the content that is active, and the decision about the
// difference.
type keyFile struct {
	*watch.File
	path     string
	required bool // it is a fault if the file is gone
	isListed bool // the directory has an entry for it, which may be a link to nothing

	isNew     bool // what was found is not what is active
	found     *io.SectionReader
	err       error // why found is nil, unless the file is gone
	isGone    bool
	change    uint64    // number of the look that found it
	settledAt time.Time // when it counts as complete, if it was written in place or is gone
	opened    io.Closer // closes found, if that is not in memory

	// active is the active content, which is parsed again when another file changes; nil if there is none. For a single
	// key file it is not kept, since no other one can change.
	active       *io.SectionReader
	activeDigest [sha256.Size]byte

	previous previous
	use      bool // use found in place of active
	verdict  verdict
}

// name is what logs and metrics call the file.
func (k *keyFile) name() string { return filepath.Base(k.path) }

// look reads the file and reports whether it found something else than last time. With keep, the content is kept in
// memory, and it is an error if that is larger than limit; otherwise the content can be read until close is called.
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

// size is how many bytes count for the file: those of found or of active, whichever are more.
func (k *keyFile) size() (n int64) {
	for _, r := range []*io.SectionReader{k.found, k.active} {
		if r != nil {
			n = max(n, r.Size())
		}
	}
	return n
}

// close closes the content. After an error, what was parsed from it must not be used.
func (k *keyFile) close() (err error) {
	if k.opened != nil {
		err = k.opened.Close()
		k.opened = nil
	}
	return err
}

// hold returns how much longer the file must stay as it is, if it was written in place or is gone.
func (k *keyFile) hold(at time.Time) time.Duration {
	if k.settledAt.IsZero() {
		return 0
	}
	return k.settledAt.Sub(at)
}

// source returns the content to parse. ok is false if there is none.
func (k *keyFile) source() (s source, ok bool) {
	s = source{path: k.path, content: k.active, digest: k.activeDigest, standsIn: k.isNew}
	switch {
	case k.use:
		s = source{path: k.path, content: k.found, digest: k.Digest(), change: k.change}
		if k.previous.fault != nil { // it had a fault and is tried again, as if it had changed just now
			s.change += 1 << 62
		}
	case !k.isNew && s.content == nil:
		s.content = k.found
	}
	return s, s.content != nil
}

// applied records that found is active, if it was used. keep is as for look.
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
