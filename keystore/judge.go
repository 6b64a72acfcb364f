package keystore

import (
	"time"

	"github.com/flowlatch/flowlatch/keystore/watch"
)

// settleTime is how long a file that is written in place must stay unchanged before a fault is reported, or a change is
// applied that takes something away. While its writer pauses, a file may be valid and lack half of the keys.
const settleTime = watch.SettleTime

// change is what was found in a file at a time, compared with the file's active content.
type change struct {
	at   time.Time
	next *Snapshot // what it means; nil if it has a fault
	err  error     // why it cannot be used; nil if it can
	// isSuspect says that next lacks something that is active, so the file may be only partly written.
	isSuspect bool
	// hold is how much longer the file must stay unchanged if it is written in place.
	hold time.Duration
}

// previous is what earlier judgements of a file left for the next one.
type previous struct {
	fault        error     // as it was reported; nil if there is none
	pending      *Snapshot // not applied yet because it is suspect; nil if there is none
	pendingSince time.Time
	faultSince   time.Time // when a fault that is not reported yet was first seen; zero if there is none
}

// verdict is what to do about a change.
type verdict struct {
	apply    bool          // use what was found
	err      error         // report this fault
	isNews   bool          // err is not the fault that was reported before
	retryIn  time.Duration // look again after this time; zero: after the next change
	previous previous      // for the next judgement
}

// judge decides what to do about a change. Without a fault it is applied, unless it may be incomplete and the reload is
// not explicit. The bytes of a file that is written in place again and again never settle, so it is enough that its
// meaning has stayed the same, or that it has had nothing but faults, for settleTime.
func judge(c change, p previous, explicit bool) verdict {
	if c.err != nil {
		return judgeFault(c, p, explicit)
	}
	if c.isSuspect && !explicit {
		since := c.at
		if p.pending != nil && Compare(p.pending, c.next).Empty() {
			since = p.pendingSince
		}
		if hold := remainingHold(c.hold, since, c.at); hold > 0 {
			return verdict{retryIn: hold, previous: previous{fault: p.fault, pending: c.next, pendingSince: since}}
		}
	}
	return verdict{apply: true}
}

func judgeFault(c change, p previous, explicit bool) verdict {
	if p.fault == nil && !explicit {
		since := p.faultSince
		if since.IsZero() {
			since = c.at
		}
		if hold := remainingHold(c.hold, since, c.at); hold > 0 {
			return verdict{retryIn: hold, previous: previous{faultSince: since}}
		}
	}
	return verdict{err: c.err, isNews: p.fault == nil || p.fault.Error() != c.err.Error(), previous: previous{fault: c.err}}
}

// remainingHold returns how much longer to wait for a file: at most file, and at most until settleTime after since, when
// its content was first seen.
func remainingHold(file time.Duration, since, now time.Time) time.Duration {
	return max(0, min(file, settleTime-now.Sub(since)))
}
