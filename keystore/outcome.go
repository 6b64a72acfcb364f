package keystore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// outcome is what to do once all files have been read.
type outcome struct {
	at      time.Time
	next    *Snapshot // to publish; the active one if there is nothing to apply
	diff    Diff      // from the active one to next
	applied []string  // in a directory, names of the files whose new content is in next
	err     error     // report this fault
	faulty  []string  // in a directory, names of the files that have a fault
	isNews  bool      // part of err was not reported before
	retryIn time.Duration
	state   state

	faults, reported []error // what err and state.fault are joined from
}

// state is what is known after a reload.
type state struct {
	fault     error // as it was reported; nil if there is none
	files     []FileStatus
	isPending bool // something waits to be applied or reported
}

// judge decides what to do. Each file is judged by itself, so that a fault in one does not hold up the others.
func (f *files) judge(active *Snapshot, validate func(*Snapshot) error, at time.Time, explicit bool) outcome {
	o := outcome{at: at, next: active}
	if active == nil {
		if o.next, o.err = f.first(validate); o.err == nil {
			o.diff = Compare(nil, o.next)
			o.addAll(f, nil, explicit)
		}
		return o
	}
	var other error // a fault that is in none of the key files
	if f.isUnlisted {
		for _, k := range f.list {
			k.verdict = verdict{err: k.previous.fault, previous: k.previous}
		}
	} else {
		c := choice{list: f.list, active: active, at: at, explicit: explicit, hold: f.flowiseHold()}
		c.meaning = func() (*Snapshot, error) { return f.mean(active, explicit) }
		c.validate = func(next *Snapshot) error {
			if saysTheSame(active, next) {
				return nil // it is not published
			}
			return validate(next)
		}
		o.next, other = c.choose()
	}
	flowise := errors.Join(o.next.flowiseFault, other)
	if saysTheSame(active, o.next) {
		o.next = active
	}
	if o.next != active {
		o.diff = Compare(active, o.next)
	}
	o.addAll(f, flowise, explicit)
	return o
}

// saysTheSame reports whether next need not be published: it has Flowise's last good keys, and nothing else differs from
// active.
func saysTheSame(active, next *Snapshot) bool {
	return next != active && next.flowiseFault != nil && Compare(active, next).Empty()
}

// first returns what the files mean when nothing is active yet: any fault is an error.
func (f *files) first(validate func(*Snapshot) error) (*Snapshot, error) {
	err := f.directoryErr
	for _, k := range f.list {
		k.use = k.err == nil && !k.isGone
		err = errors.Join(err, k.err)
	}
	if f.isUnlisted {
		return nil, err
	}
	next, faults := f.mean(nil, true)
	if err != nil { // what looks like a contradiction may come from the files that are missing
		return nil, errors.Join(err, withoutAcross(faults))
	}
	if faults == nil {
		faults = validate(next)
	}
	return next, faults
}

func withoutAcross(err error) error {
	var all, kept strictyaml.Faults
	if !errors.As(err, &all) {
		return err
	}
	for _, f := range all {
		if !f.Across {
			kept = append(kept, f)
		}
	}
	if kept == nil {
		return nil
	}
	return kept
}

// judgeOther judges the directory or Flowise's file. err is its fault, or nil.
func judgeOther(err error, hold time.Duration, p previous, at time.Time, explicit bool) verdict {
	if err == nil {
		return verdict{}
	}
	return judge(change{at: at, err: few(err), hold: hold}, p, explicit)
}

// addAll adds the verdicts about all files. flowise is what is wrong with the keys of Flowise.
func (o *outcome) addAll(f *files, flowise error, explicit bool) {
	o.addFiles(f)
	o.add(".", &f.directoryPrevious, judgeOther(f.directoryErr, 0, f.directoryPrevious, o.at, explicit))
	if flowise == nil && o.next.flowisePath == "" {
		f.flowisePrevious = previous{}
	} else {
		o.add(cmp.Or(o.next.flowisePath, f.path), &f.flowisePrevious, judgeOther(flowise, f.flowiseHold(), f.flowisePrevious, o.at, explicit))
	}
	o.err, o.state.fault = joinFew(o.faults), joinFew(o.reported)
	if !f.isDirectory {
		o.applied, o.faulty, o.state.files = nil, nil, nil
	}
}

// addFiles adds the verdicts of the key files.
func (o *outcome) addFiles(f *files) {
	active := map[string]*KeyFile{}
	for _, k := range o.next.files {
		active[k.Path] = k
	}
	for _, k := range f.list {
		if k.use {
			o.applied = append(o.applied, k.name())
		}
		st := o.add(k.name(), &k.previous, k.verdict)
		if n := active[k.path]; n != nil {
			st.Keys, st.Chatflows = n.Keys, n.Chatflows
		}
	}
}

// add adds the verdict about the file called name, and sets p for the next judgement.
func (o *outcome) add(name string, p *previous, v verdict) *FileStatus {
	*p = v.previous
	o.state.isPending = o.state.isPending || v.retryIn > 0
	o.isNews = o.isNews || v.isNews
	if v.retryIn > 0 && (o.retryIn == 0 || v.retryIn < o.retryIn) {
		o.retryIn = v.retryIn
	}
	if v.err != nil {
		o.faulty = append(o.faulty, name)
	}
	o.faults, o.reported = append(o.faults, v.err), append(o.reported, p.fault)
	o.state.files = append(o.state.files, FileStatus{File: name, Err: p.fault})
	return &o.state.files[len(o.state.files)-1]
}

// joinFew joins errors for a log line. Of many it has the first ones and the number of the others; a single one is
// returned as it is.
func joinFew(errs []error) error {
	const most = 20
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	if more := len(errs) - most; more > 0 {
		errs = append(errs[:most], fmt.Errorf("and faults in %d more key files; `flowlatch check --all` shows all", more))
	}
	return errors.Join(errs...)
}
