package limit

import (
	"context"
	"strconv"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// syncAtOnce is how many accounts are written in one call.
const syncAtOnce = 100

// touchAll notes that all accounts have to be written: their leases are to be renewed, or Redis may have forgotten them.
func (r *Redis) touchAll() { r.touch(func(*account) bool { return true }) }

// touchShared notes that the accounts have to be written of which other gates had requests open. When Redis stops
// answering, that is what counts as theirs, so it must not be old.
func (r *Redis) touchShared() {
	r.touch(func(a *account) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.others.open > 0
	})
}

// touch notes that the accounts that due returns true for have to be written.
func (r *Redis) touch(due func(*account) bool) {
	var all []*account
	r.local.eachAccount(func(a *account) {
		if due(a) {
			all = append(all, a)
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range all {
		r.dirty[a] = struct{}{}
	}
}

// sync writes the accounts that have to be written. It reports whether Redis has taken them all.
func (r *Redis) sync(ctx context.Context) bool {
	r.mu.Lock()
	dirty := r.dirty
	r.dirty = map[*account]struct{}{}
	r.mu.Unlock()
	var some []*account
	for a := range dirty {
		some = append(some, a)
		delete(dirty, a)
		if len(some) < syncAtOnce && len(dirty) > 0 {
			continue
		}
		if err := r.write(ctx, some); err != nil {
			r.failed(err)
			r.mu.Lock()
			for _, a := range some {
				r.dirty[a] = struct{}{}
			}
			for a := range dirty {
				r.dirty[a] = struct{}{}
			}
			r.mu.Unlock()
			return false
		}
		some = some[:0]
	}
	return true
}

// write writes what these accounts have in use, and hears what other gates have.
func (r *Redis) write(ctx context.Context, some []*account) error {
	c := r.emptyCall(6 * len(some))
	now := r.now()
	for _, a := range some {
		a.mu.Lock()
		if !a.gone { // or another may be in its place
			c.addCounters(a, now)
		}
		a.mu.Unlock()
	}
	if len(c.checks) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, max(runTimeout, r.timeout))
	defer cancel()
	asked := time.Now()
	reply, err := r.run(ctx, r.keep, c, 1)
	if err == nil {
		if time.Since(asked) <= r.timeout { // or it is too slow for requests
			r.answered(reply[0])
		}
		c.heard(reply[1:], true, r.now())
	}
	return err
}

// pastFor is for how long after its end a month is still written: it may have ended while Redis did not answer.
const pastFor = 24 * time.Hour

// addCounters adds what other gates have to know of a: what it has open, and what it used in periods that have a quota and
// in this month. The account is locked.
func (c *call) addCounters(a *account, now time.Time) {
	if !a.kind.isMember() {
		if n := len(a.past); n > 0 && now.Unix()-a.past[n-1].end < int64(pastFor.Seconds()) {
			c.addMonth(a, &a.past[n-1])
		}
		c.addMonth(a, &a.periods[keystore.Month])
	}
	limited := a.limits != nil && a.limits.Concurrent > 0
	if a.others.shown > 0 || limited && (!a.kind.isMember() || a.open > 0 || a.others.open > 0) { // there may be very many clients
		k := c.check(check{account: a, reason: Concurrent, value: a.open}, a.key("open"))
		c.send('c', a.open, k.sequence, 0)
		if a.open > 0 {
			a.others.shown = k.sequence
		}
	}
	if a.limits == nil {
		return
	}
	for _, q := range a.limits.Quotas {
		if q.Period != keystore.Month {
			c.addUsed(a, &a.periods[q.Period], q.Period, int(q.Unit))
		}
	}
}

// addMonth adds all that was used in a month, and that the account used something in it.
func (c *call) addMonth(a *account, p *period) {
	if p.end == 0 {
		return
	}
	for count := range counts {
		c.addUsed(a, p, keystore.Month, count)
	}
	c.check(check{account: a}, monthKey(p.end))
	c.args = append(c.args, "i "+a.kind.String()+":"+a.id+" 0 "+strconv.FormatInt(p.forget(keystore.Month), 10))
}

func (c *call) addUsed(a *account, p *period, kind keystore.Period, count int) {
	if p.end > 0 {
		k := c.check(checkOf(a, p, kind, count), a.usageKey(p, kind, count))
		c.send('q', k.value, k.sequence, p.forget(kind))
	}
}
