package limit

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Standing is how much a holder has used of one of its limits.
type Standing struct {
	Holder Kind
	Reason Reason
	// Limit is the limit as the key file has it.
	Limit string
	Unit  keystore.Unit
	// N is the limit, Left what is left of it.
	N, Left int64
	// Window is the time for which N is; zero for a number of requests at once.
	Window time.Duration
	// Reset is the time until there is more: for a rate until the next request, for a quota until its period ends.
	Reset time.Duration
	// Observed says that the limit is not enforced.
	Observed bool
}

// Standings returns how much each holder has used of each of its limits.
func (l *Local) Standings(holders []Holder, now time.Time) (all []Standing) {
	var g Grant
	l.lock(&g, holders)
	defer g.unlock()
	r := l.rule()
	for i, a := range g.accounts[:g.n] {
		a.enter(holders[i].Limits, &r, now)
		first := len(all)
		all = a.standings(all, &r, now)
		for n := range all[first:] {
			all[first+n].Holder = holders[i].Kind
		}
	}
	return all
}

func (a *account) standings(all []Standing, r *rule, now time.Time) []Standing {
	l := a.limits
	if l == nil {
		return all
	}
	all = slices.Grow(all, 1+len(l.Rates)+len(l.Quotas))
	if l.Concurrent > 0 {
		n := r.rates.of(int64(l.Concurrent))
		all = append(all, Standing{Reason: Concurrent, Limit: strconv.Itoa(l.Concurrent), N: n, Left: max(n-a.open-a.openElsewhere(math.MaxInt64, now), 0), Observed: l.Observe})
	}
	for i, of := range l.Rates {
		pace, ns := paceOf(of, r.rates), now.UnixNano()
		left := a.buckets[i].left(pace, ns)
		reset := time.Duration(0)
		if full := int64(a.buckets[i]) - ns; full > 0 { // the next one comes back when a multiple of every is left
			reset = time.Duration(full - (r.rates.of(of.N)-left-1)*pace.every)
		}
		all = append(all, Standing{Reason: Rate, Limit: of.String(), N: r.rates.of(of.N), Left: left, Window: of.Per, Reset: reset, Observed: l.Observe})
	}
	for _, q := range l.Quotas {
		end := a.periods[q.Period].end
		n := r.quotas.of(q.N)
		all = append(all, Standing{
			Reason: Quota, Limit: q.String(), Unit: q.Unit, N: n, Left: max(n-a.used(q.Period, int(q.Unit))/milli[q.Unit], 0),
			Window: time.Duration(end-a.periods[q.Period].start(q.Period)) * time.Second, Reset: time.Unix(end, 0).Sub(now), Observed: l.Observe,
		})
	}
	return all
}
