package keystore

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// choice decides of which files what was found is applied, and of which what is active stays. It knows no files but the
// contents, and is used once.
type choice struct {
	list     []*keyFile
	active   *Snapshot // nil if there is none
	at       time.Time
	explicit bool
	// hold is how much longer other files must be unchanged before a fault is reported.
	hold time.Duration
	// meaning returns what the files mean together, as their use says.
	meaning func() (*Snapshot, error)
	// validate is asked about the snapshot that is going to be applied.
	validate func(*Snapshot) error

	refused []*keyFile // contradict others, and would be tried again if those are not applied either
}

// choose returns the snapshot to apply, which is the active one if there is nothing to apply, and sets the verdicts of the files. err
// is not about any file that is new.
//
// First all that is new is tried together, then without the files that have a fault and those that may be half written.
// Of two that contradict each other, [parse] has found the one that changed last.
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
		c.refused = refused // whom validate refuses is not tried again
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

// blame leaves out those files of which what was found has one of the faults, or all if none has. It returns false if nothing
// that was found is used.
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

// accept uses what was found in a file, unless that must wait.
func (c *choice) accept(k *keyFile, next *Snapshot) {
	found := change{at: c.at, next: next.only(k.path), hold: k.hold(c.at)}
	if found.hold > 0 && !c.explicit && c.active != nil {
		_, found.isSuspect = compare(c.active.only(k.path), next)
	}
	k.verdict = judge(found, k.previous, c.explicit)
	k.use = k.verdict.apply
}

// tryAgain adds to next the files that contradict only what is left out as well, and returns the snapshot.
func (c *choice) tryAgain(next *Snapshot) *Snapshot {
	slices.SortStableFunc(c.refused, func(a, b *keyFile) int { return cmp.Compare(a.change, b.change) })
	tries := 0
	for i := 0; i < len(c.refused) && tries < 50; i++ { // each is parsed with all the others
		k := c.refused[i]
		if !slices.ContainsFunc(c.list, func(o *keyFile) bool { return o != k && o.isNew && !o.use }) {
			break // all others are used, and contradict it
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
			next, i = with, -1 // an earlier one may need this one
		} else {
			i--
		}
	}
	return next
}
