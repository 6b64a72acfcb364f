package limit

import (
	"math"
	"strconv"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Standing is how much a holder has used of one of its limits.
type Standing struct {
	Holder Kind
	Reason Reason
	Unit   keystore.Unit
	// Observed says that the limit is not enforced.
	Observed bool
	// Limit is the limit as the key file has it.
	Limit string
	// N is the limit, Left what is left of it.
	N, Left int64
	// Window is the time that N is for; zero for a number of requests at once.
	Window time.Duration
	// Reset is the time until more is available: for a rate the next request, for a quota the next period.
	Reset time.Duration
}

// Standings returns how much each holder has used of each of its limits.
func (l *Local) Standings(holders []Holder, now time.Time) []Standing {
	return l.standings(holders, now, false)
}

// Low is like Standings, but returns only limits that have less than a quarter left.
func (l *Local) Low(holders []Holder, now time.Time) []Standing {
	return l.standings(holders, now, true)
}

func (l *Local) standings(holders []Holder, now time.Time, lowOnly bool) (all []Standing) {
	var g Grant
	l.lock(&g, holders)
	defer g.unlock()
	r := l.rule()
	for i, a := range g.accounts[:g.n] {
		a.enter(holders[i].Limits, &r, now)
		all = a.standings(all, &r, now, lowOnly)
	}
	return all
}

func (a *account) standings(all []Standing, r *rule, now time.Time, lowOnly bool) []Standing {
	l := a.limits
	if l == nil {
		return all
	}
	if l.Concurrent > 0 {
		n := r.rates.of(int64(l.Concurrent))
		left := max(n-a.open-a.openElsewhere(math.MaxInt64, now), 0)
		if !lowOnly || isLow(left, n) {
			all = append(all, Standing{Holder: a.kind, Reason: Concurrent, Limit: strconv.Itoa(l.Concurrent), N: n, Left: left, Observed: l.Observe})
		}
	}
	for i, of := range l.Rates {
		pace, n, ns := paceOf(of, r.rates), r.rates.of(of.N), now.UnixNano()
		left := a.buckets[i].left(pace, ns)
		if lowOnly && !isLow(left, n) {
			continue
		}
		reset := time.Duration(0)
		if full := int64(a.buckets[i]) - ns; full > 0 { // one more is available once full is down to a multiple of every
			reset = time.Duration(full - (n-left-1)*pace.every)
		}
		all = append(all, Standing{Holder: a.kind, Reason: Rate, Limit: of.String(), N: n, Left: left, Window: of.Per, Reset: reset, Observed: l.Observe})
	}
	for _, q := range l.Quotas {
		n, used := r.quotas.of(q.N), a.used(q.Period, int(q.Unit))
		if lowOnly && !isLow(n*milli[q.Unit]-used, n*milli[q.Unit]) {
			continue
		}
		end := a.periods[q.Period].end
		all = append(all, Standing{
			Holder: a.kind, Reason: Quota, Limit: q.String(), Unit: q.Unit, N: n, Left: max(n-used/milli[q.Unit], 0),
			Window: time.Duration(end-a.periods[q.Period].start(q.Period)) * time.Second, Reset: time.Unix(end, 0).Sub(now), Observed: l.Observe,
		})
	}
	return all
}

// isLow reports whether less than a quarter of n is left.
func isLow(left, n int64) bool { return left <= 0 || left*4 < n }
