package keystore

import "time"

// settleTime is how long a file that is written in place must be unchanged before a change is applied that takes
// something away, and before a fault is reported. A writer that pauses may leave a file that is valid and
// lacks half of the keys.
const settleTime = 1500 * time.Millisecond

// change is what the files hold at a time, compared with the active snapshot.
type change struct {
	at   time.Time
	next *Snapshot // valid and not active, or nil
	err  error     // why the key file, or beside next that of Flowise, cannot be used
	diff Diff      // from the active snapshot to next
	// isSuspect says that something of the active snapshot is missing in next, so that next may be
	// the beginning of a file that is being written.
	isSuspect bool
	// keysHold is how much longer the key file must be unchanged if it is written in place; anyHold is that of all files.
	keysHold, anyHold time.Duration
}

// previous is what earlier judgements left behind.
type previous struct {
	fault        error     // as it was reported; nil if the files are what is active
	pending      *Snapshot // not applied yet because it is suspect; nil if there is none
	pendingSince time.Time
	faultSince   time.Time // when a fault that is not reported yet was first seen; zero if there is none
}

// verdict is what to do about a change.
type verdict struct {
	apply    bool          // publish the next snapshot
	err      error         // report this fault
	isNews   bool          // err is not the fault that was reported before
	retryIn  time.Duration // look again after this time; zero: after the next change
	previous previous      // for the next judgement
}

// judge decides about a change. Without a fault it is applied, unless it may be incomplete and nobody asked for it
// explicitly. A file that is written in place again and again is never unchanged, so it is enough that it means the
// same, or has nothing but faults, for the settleTime.
func judge(c change, p previous, explicit bool) verdict {
	v := verdict{previous: previous{fault: p.fault}}
	if c.next != nil && (c.err == nil || !c.diff.Empty()) {
		v.apply = true
		if c.isSuspect && !explicit {
			since := c.at
			if p.pending != nil && Compare(p.pending, c.next).Empty() {
				since = p.pendingSince
			}
			if v.retryIn = remainingHold(c.keysHold, since, c.at); v.retryIn > 0 {
				v.apply = false
				v.previous.pending, v.previous.pendingSince = c.next, since
			}
		}
	}
	if c.err == nil {
		if v.apply {
			v.previous.fault = nil
		}
		return v
	}
	if p.fault == nil && !explicit {
		since := p.faultSince
		if since.IsZero() {
			since = c.at
		}
		if hold := remainingHold(c.anyHold, since, c.at); hold > 0 {
			v.previous.faultSince = since
			if v.retryIn == 0 || hold < v.retryIn {
				v.retryIn = hold
			}
			return v
		}
	}
	v.err, v.previous.fault = c.err, c.err
	v.isNews = p.fault == nil || p.fault.Error() != c.err.Error()
	return v
}

// remainingHold returns how much longer to wait for a file, if what is in it was first seen at since.
func remainingHold(file time.Duration, since, now time.Time) time.Duration {
	return max(0, min(file, settleTime-now.Sub(since)))
}
