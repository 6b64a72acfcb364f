package limit

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// account is what a holder has used and has open.
type account struct {
	id   string
	kind Kind

	gone    bool       // it was dropped, and another account may have replaced it; guarded by mu, as are the fields below
	mu      sync.Mutex // kind, gone and mu share 16 bytes because they are adjacent
	limits  *keystore.Limits
	buckets []Bucket // of the rates of limits, in their order
	open    int64    // requests that are at the upstream
	periods [keystore.Periods]period
	past    []period // months that have ended, of keys and chatflows; sorted
	others  *others  // nil unless other gates count, too
}

// others is what other gates have used and have open, as Redis last reported it.
type others struct {
	client netip.Addr // the account's
	user   string     // the account's
	open   int64
	at     time.Time // when open was reported
	used   [keystore.Periods][counts]int64
	stored [keystore.Periods][counts]int64 // what Redis had stored of this gate's own use then
	heard  int64                           // the sequence number of the last reply that was applied
	listed int64                           // the end of the last month in which Redis lists the account as one that used something
	shown  int64                           // the sequence number of the last call that may have shown other gates open requests here, or 0
}

// used returns how much all gates have used in a period.
func (a *account) used(p keystore.Period, count int) int64 {
	n := a.periods[p].used[count]
	if a.others != nil {
		n += a.others.used[p][count]
	}
	return n
}

// openElsewhere returns how many requests other gates had open, or 0 if that was reported longer ago than within.
func (a *account) openElsewhere(within time.Duration, now time.Time) int64 {
	if a.others == nil || now.Sub(a.others.at) >= within {
		return 0
	}
	return a.others.open
}

// milli is how many counted units make one unit of a quota: stream seconds are counted in milliseconds.
var milli = [keystore.Units]int64{keystore.Requests: 1, keystore.StreamSeconds: 1000, keystore.Bytes: 1}

// enter brings a up to date for a request at now under these limits.
func (a *account) enter(limits *keystore.Limits, r *rule, now time.Time) {
	a.enterPeriods(now)
	if a.limits != limits {
		a.change(limits)
	}
	for i := range a.buckets {
		a.buckets[i].Enter(paceOf(limits.Rates[i], r.rates), now.UnixNano())
	}
}

// enterPeriods begins a new period wherever the current one has ended.
func (a *account) enterPeriods(now time.Time) {
	for kind := range keystore.Period(keystore.Periods) {
		if !a.periods[kind].lasts(kind, now.Unix()) {
			a.beginPeriod(kind, now)
		}
	}
}

// beginPeriod begins the period that contains now. What was counted in later periods, while the clock was wrong, is moved
// into it.
func (a *account) beginPeriod(kind keystore.Period, now time.Time) {
	was := a.periods[kind]
	_, end := bounds(kind, now)
	p := period{end: end.Unix()}
	if was.end > p.end {
		p.add(was)
	} else if kind == keystore.Month {
		a.keepPast(was)
	}
	if kind == keystore.Month {
		a.past = slices.DeleteFunc(a.past, func(month period) bool {
			if month.end < p.end {
				return false
			}
			p.add(month)
			return true
		})
	}
	a.periods[kind] = p
	if a.others != nil {
		a.others.used[kind], a.others.stored[kind] = [counts]int64{}, [counts]int64{}
	}
}

// keepPast keeps a month that has ended, if anything was used in it.
func (a *account) keepPast(month period) {
	if a.kind.isMember() || month.unused() {
		return
	}
	a.past = append(a.past, month)
	slices.SortFunc(a.past, func(a, b period) int { return cmp.Compare(a.end, b.end) })
	if len(a.past) > monthsKept {
		a.past = slices.Delete(a.past, 0, 1)
	}
}

// forget drops the months that ended before a time, in seconds since 1970.
func (a *account) forget(before int64) {
	a.past = slices.DeleteFunc(a.past, func(month period) bool { return month.end < before })
}

// change replaces the limits. Rates that stay keep their buckets.
func (a *account) change(limits *keystore.Limits) {
	var buckets []Bucket
	if limits != nil && len(limits.Rates) > 0 {
		buckets = make([]Bucket, len(limits.Rates))
		for i, r := range limits.Rates {
			if a.limits == nil {
				break
			}
			if was := slices.Index(a.limits.Rates, r); was >= 0 {
				buckets[i] = a.buckets[was]
			}
		}
	}
	a.limits, a.buckets = limits, buckets
}

// exceeds returns how long the limits of this reason make the next request wait, zero if not at all, and the index of the
// limit with the longest wait.
func (a *account) exceeds(reason Reason, r *rule, now time.Time) (wait time.Duration, which int) {
	l := a.limits
	switch {
	case l == nil:
	case reason == Concurrent:
		if most := int64(l.Concurrent); most > 0 && (a.open >= r.rates.of(most) || a.open+a.openElsewhere(r.others, now) >= most) {
			return time.Second, 0
		}
	case reason == Rate:
		for i, of := range l.Rates {
			if until := a.buckets[i].Wait(paceOf(of, r.rates), now.UnixNano()); until > wait {
				wait, which = until, i
			}
		}
	case reason == Quota:
		for i, q := range l.Quotas {
			until := time.Duration(a.periods[q.Period].end-now.Unix()) * time.Second
			if a.used(q.Period, int(q.Unit)) >= a.most(q, r) && until > wait {
				wait, which = until, i
			}
		}
	}
	return wait, which
}

// excess turns the result of exceeds into an Excess.
func (a *account) excess(reason Reason, wait time.Duration, which int) Excess {
	e := Excess{Reason: reason, Holder: a.kind, RetryAfter: wait}
	switch reason {
	case Rate:
		e.Limit = a.limits.Rates[which].String()
	case Quota:
		e.Limit, e.Unit = a.limits.Quotas[which].String(), a.limits.Quotas[which].Unit
	default:
		e.Limit = strconv.Itoa(a.limits.Concurrent)
	}
	return e
}

// most returns the use at which quota q lets no more requests through.
func (a *account) most(q keystore.Quota, r *rule) int64 {
	most := r.quotas.of(q.N) * milli[q.Unit]
	if a.others == nil {
		return most
	}
	known := a.others.stored[q.Period][q.Unit] + a.others.used[q.Period][q.Unit]
	return min(known, most) + r.rest.of(max(most-known, 0))
}

// begin counts a request and the places it takes. It reports whether less than a quarter is left of an enforced rate or
// quota.
func (a *account) begin(r *rule, places int64, now time.Time) (low bool) {
	a.open += places
	for kind := range a.periods {
		a.periods[kind].used[keystore.Requests]++
	}
	l := a.limits
	if l == nil {
		return false
	}
	for i, of := range l.Rates {
		pace := paceOf(of, r.rates)
		a.buckets[i].Take(pace)
		low = low || isLow(a.buckets[i].left(pace, now.UnixNano()), r.rates.of(of.N))
	}
	for _, q := range l.Quotas {
		n := a.most(q, r)
		low = low || isLow(n-a.used(q.Period, int(q.Unit)), n)
	}
	return low && !l.Observe
}

// refuse counts a request that is refused because a limit is exceeded.
func (a *account) refuse() {
	for kind := range a.periods {
		a.periods[kind].used[refused]++
	}
}

// undo takes back what begin counted at began, in seconds since 1970.
func (a *account) undo(r *rule, places, began int64) {
	a.open -= places
	a.uncount(began)
	if a.limits == nil {
		return
	}
	for i, of := range a.limits.Rates {
		a.buckets[i] -= Bucket(paceOf(of, r.rates).every)
	}
}

// uncount takes a request that began at began out of those current periods in which it was counted.
func (a *account) uncount(began int64) {
	for kind := range keystore.Period(keystore.Periods) {
		p := &a.periods[kind]
		if p.used[keystore.Requests] > 0 && p.start(kind) <= began {
			p.used[keystore.Requests]--
		}
	}
}

// end counts what a request that began at began, in seconds since 1970, has used. It reports whether it freed a place
// that other requests may be waiting for.
func (a *account) end(u Use, places, began int64) (frees bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open -= places
	if u.Unsent {
		a.uncount(began)
	}
	for kind := range a.periods {
		used := &a.periods[kind].used
		used[keystore.StreamSeconds] += u.Time.Milliseconds()
		used[keystore.Bytes] += u.Bytes
	}
	return places > 0 && a.limits != nil && a.limits.Concurrent > 0
}

// idle reports whether no request is at the upstream, and no other gate was told that one is.
func (a *account) idle() bool { return a.open == 0 && (a.others == nil || a.others.shown == 0) }

// atRest reports whether a is the same as a new account, so that dropping it loses nothing. What a client or user has
// used in a period does not matter, since they have no quotas.
func (a *account) atRest(now time.Time) bool {
	return a.idle() &&
		!slices.ContainsFunc(a.buckets, func(b Bucket) bool { return int64(b) > now.UnixNano() }) &&
		(a.kind.isMember() || len(a.past) == 0 && !slices.ContainsFunc(a.periods[:], func(p period) bool { return !p.unused() }))
}

// dropIf marks a as gone if idle returns true for it, and reports whether it is.
func (a *account) dropIf(idle func(*account) bool) bool {
	if !a.mu.TryLock() {
		return false // it is in use
	}
	defer a.mu.Unlock()
	a.gone = a.gone || idle(a)
	return a.gone
}
