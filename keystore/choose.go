package keystore

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// choice decides for each file whether its new content is applied or its active content stays. It works on contents and
// opens no file. It is used once.
type choice struct {
	list     []*keyFile
	active   *Snapshot // nil if there is none
	at       time.Time
	explicit bool
	// hold is how much longer another file, such as Flowise's, must stay unchanged before a fault is reported.
	hold time.Duration
	// meaning returns what the files mean together, with the new content of those that have use set.
	meaning func() (*Snapshot, error)
	// validate is called with the snapshot that is about to be applied.
	validate func(*Snapshot) error

	refused []*keyFile // these contradict others, and are tried again if those are not applied either
}

// choose returns the snapshot to apply, or the active one if there is nothing to apply, and sets the verdicts of the
// files. No file with new content is to blame for err.
//
// It first tries all new content together, and then leaves out files that have a fault or may be half written. If two
// files contradict each other, [parse] blames the one that changed last.
func (c *choice) choose() (next *Snapshot, err error) {
	for _, k := range c.list {
		k.use, k.verdict = k.isNew && k.err == nil, verdict{}
		if k.isNew && k.err != nil {
			c.reject(k, k.err)
		}
	}
	for {
		next, err = c.consistent()
		if err != nil || next == c.active {
			return c.active, err
		}
		if err = c.validate(next); err == nil {
			return next, nil
		}
		refused := c.refused
		if !c.blame(err) {
			return c.active, err
		}
		c.refused = refused // a file that validate refuses is not tried again
	}
}

// consistent leaves files out until the others can be applied together.
func (c *choice) consistent() (*Snapshot, error) {
	for {
		next, err := c.meaning()
		switch {
		case err != nil && !c.blame(err):
			return nil, err
		case err == nil && !c.holdBack(next):
			return c.tryAgain(next), nil
		}
	}
}

// blame leaves out the files whose new content has one of the faults, or all of them if none has. It returns false if no
// new content was used.
func (c *choice) blame(err error) bool {
	faults, _ := errors.AsType[strictyaml.Faults](err)
	var used, blamed []*keyFile
	for _, k := range c.list {
		if !k.use {
			continue
		}
		used = append(used, k)
		if own := faultsOf(faults, k.path); own != nil {
			blamed = append(blamed, k)
			if c.reject(k, own); !slices.ContainsFunc(own, func(f strictyaml.Fault) bool { return !f.Across }) {
				c.refused = append(c.refused, k)
			}
		}
	}
	if blamed == nil {
		for _, k := range used {
			c.reject(k, err)
		}
		if faults != nil {
			c.refused = append(c.refused, used...)
		}
	}
	return used != nil
}

func faultsOf(faults strictyaml.Faults, path string) (own strictyaml.Faults) {
	for _, f := range faults {
		if f.File == path {
			own = append(own, f)
		}
	}
	return own
}

// reject leaves a file out because of a fault.
func (c *choice) reject(k *keyFile, err error) {
	k.use = false
	k.verdict = judge(change{at: c.at, err: few(err), hold: max(k.hold(c.at), c.hold)}, k.previous, c.explicit)
}

// holdBack leaves out the files that lack something and may be half written. It reports whether there are any.
func (c *choice) holdBack(next *Snapshot) (held bool) {
	for _, k := range c.list {
		if k.use {
			c.accept(k, next)
			held = held || !k.use
		}
	}
	return held
}

// accept uses the new content of a file, unless it must wait.
func (c *choice) accept(k *keyFile, next *Snapshot) {
	found := change{at: c.at, next: next.only(k.path), hold: k.hold(c.at)}
	if found.hold > 0 && !c.explicit && c.active != nil {
		_, found.isSuspect = compare(c.active.only(k.path), next)
	}
	k.verdict = judge(found, k.previous, c.explicit)
	k.use = k.verdict.apply
}

// tryAgain adds to next those refused files that contradict only files which are left out as well. It returns the new
// snapshot.
func (c *choice) tryAgain(next *Snapshot) *Snapshot {
	slices.SortStableFunc(c.refused, func(a, b *keyFile) int { return cmp.Compare(a.change, b.change) })
	tries := 0
	for i := 0; i < len(c.refused) && tries < 50; i++ { // each try parses all files
		k := c.refused[i]
		if !slices.ContainsFunc(c.list, func(o *keyFile) bool { return o != k && o.isNew && !o.use }) {
			break // all others are used, so it still contradicts one of them
		}
		tries++
		refusal := k.verdict
		k.use = true
		with, err := c.meaning()
		if err != nil {
			k.use, k.verdict = false, refusal
			continue
		}
		c.refused = slices.Delete(c.refused, i, i+1)
		if c.accept(k, with); k.use {
			next, i = with, -1 // start again: an earlier one may need this one
		} else {
			i--
		}
	}
	return next
}
