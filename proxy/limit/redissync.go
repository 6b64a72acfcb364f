package limit

import (
	"context"
	"fmt"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// syncAtOnce is how many accounts are written in one call.
const syncAtOnce = 100

// touchAll notes that all accounts have to be written, to renew their leases or because Redis may have forgotten them.
func (r *Redis) touchAll() { r.touch(func(*account) bool { return true }) }

// touchShared notes that accounts have to be written if other gates had requests open in them. The reply says how many,
// and that number counts while Redis does not answer, so it must not be old. While this gate stays away from Redis, its
// requests do not report what is open, so accounts with open requests have to be written, too, for the gates that count
// by Redis.
func (r *Redis) touchShared() {
	away := !r.up.Load()
	r.touch(func(a *account) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.others.open > 0 || away && !a.idle()
	})
}

// touch notes that the accounts that due returns true for have to be written.
func (r *Redis) touch(due func(*account) bool) {
	var accounts []*account
	r.local.eachAccount(func(a *account) {
		if due(a) {
			accounts = append(accounts, a)
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.up.Load() {
		clear(r.dirty) // else dropped accounts would be kept in memory; everything is written when Redis answers again
		clear(r.freed)
	}
	for _, a := range accounts {
		r.dirty[a] = all
	}
}

// due is an account that has to be written.
type due struct {
	*account
	what extent
}

// extent is how much of an account has to be written.
type extent uint8

const (
	places  extent = iota // its open requests
	changes               // and the use that has changed
	all                   // and the use that Redis should have already
)

// sync writes the accounts that have to be written. It reports whether Redis has taken them all.
func (r *Redis) sync(ctx context.Context) bool { return r.writeAll(ctx, r.take(r.dirty)) }

// syncPlaces writes the places that have come free.
func (r *Redis) syncPlaces(ctx context.Context) { r.writeAll(ctx, r.take(r.freed)) }

// take empties dirty or freed, and returns what was in it.
func (r *Redis) take(from map[*account]extent) []due {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := make([]due, 0, len(from))
	for a, what := range from {
		taken = append(taken, due{a, what})
	}
	clear(from)
	return taken
}

func (r *Redis) writeAll(ctx context.Context, dirty []due) bool {
	for len(dirty) > 0 {
		some := dirty[:min(syncAtOnce, len(dirty))]
		if err := r.write(ctx, some); err != nil {
			r.failed(err)
			r.mu.Lock()
			for _, d := range dirty {
				r.dirty[d.account] = all // Redis may have taken some
			}
			r.mu.Unlock()
			return false
		}
		dirty = dirty[len(some):]
		if len(dirty) > 0 && dirty[0].what != places {
			r.syncPlaces(ctx) // other gates wait for these, and writing many accounts takes long
		}
	}
	return true
}

// write writes what these accounts have in use, and applies the reply: what other gates have.
func (r *Redis) write(ctx context.Context, some []due) error {
	c := r.emptyCall(r.keep)
	now := r.now()
	for _, d := range some {
		d.mu.Lock()
		if !d.gone { // else another account may have replaced it
			c.addCounters(d.account, d.what, now)
		}
		d.mu.Unlock()
	}
	if len(c.checks) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.replyTimeout)
	defer cancel()
	asked := time.Now()
	reply, err := r.run(ctx.Done(), c, 1)
	if err == nil {
		if time.Since(asked) <= r.timeout { // else it is too slow for requests
			r.answered(reply[0])
		}
		c.heard(reply[1:], true, r.now())
	}
	return err
}

// pastFor is how long after its end a month is still written, because Redis may not have answered when it ended.
const pastFor = 24 * time.Hour

// addCounters adds what Redis has to know of a: what it has open, and what it used in this month and in periods that have
// a quota. The caller holds the lock of a.
func (c *call) addCounters(a *account, what extent, now time.Time) {
	limited := a.limits != nil && a.limits.Concurrent > 0
	if a.others.shown > 0 || what == all && limited && (!a.kind.isMember() || a.open > 0 || a.others.open > 0) { // clients may be very many
		k := c.check(check{account: a, reason: Concurrent, value: a.open}, "open")
		c.send('c', a.open, k.sequence, 0)
		if a.open > 0 {
			a.others.shown = k.sequence
		}
	}
	if what == places {
		return
	}
	if !a.kind.isMember() {
		month := &a.periods[keystore.Month]
		if a.others.listed != month.end { // a new month has begun
			what = all
		}
		if n := len(a.past); what == all && n > 0 && now.Unix()-a.past[n-1].end < int64(pastFor.Seconds()) {
			c.addMonth(a, &a.past[n-1], what)
		}
		c.addMonth(a, month, what)
	}
	if a.limits == nil {
		return
	}
	for _, q := range a.limits.Quotas {
		if q.Period != keystore.Month {
			c.addUsed(a, &a.periods[q.Period], q.Period, int(q.Unit), what)
		}
	}
}

// addMonth adds what was used in a month. If what is all, it also lists the account as one that used something in it.
func (c *call) addMonth(a *account, p *period, what extent) {
	if p.end == 0 {
		return
	}
	for count := range counts {
		c.addUsed(a, p, keystore.Month, count, what)
	}
	if what == all {
		c.checkKey(check{account: a, ends: p.end}, []byte(monthKey(p.end)))
		c.lines = fmt.Appendf(c.lines, "i %s:%s 0 %d\n", a.kind, a.id, p.forget(keystore.Month))
	}
}

func (c *call) addUsed(a *account, p *period, kind keystore.Period, count int, what extent) {
	if p.end > 0 && (what == all || p.used[count] != a.others.stored[kind][count]) && !a.neverUsed(p, count) {
		k := c.checkUse(a, p, kind, count)
		c.send('q', k.value, k.sequence, p.forget(kind))
	}
}

// neverUsed reports whether a counter need not be written: nothing was counted in it, so Redis cannot have more, and
// there is no quota for which this gate must know what others have used. Requests are taken back at times, so for them
// Redis can have more.
func (a *account) neverUsed(p *period, count int) bool {
	return p.used[count] == 0 && count != int(keystore.Requests) && (a.limits == nil || len(a.limits.Quotas) == 0)
}
