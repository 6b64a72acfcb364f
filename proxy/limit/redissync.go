package limit

import (
	"context"
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
	touch := func(a *account) {
		if due(a) {
			r.dirty[a] = struct{}{}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.local.keys.each(touch)
	r.local.chatflows.each(touch)
	r.local.clients.each(touch)
	r.local.users.each(touch)
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
	c := &call{sequence: &r.sequence}
	for _, a := range some {
		a.mu.Lock()
		if !a.gone { // or another may be in its place
			c.addCounters(a)
		}
		a.mu.Unlock()
	}
	if len(c.checks) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	asked := time.Now()
	reply, err := r.run(ctx, r.keep, c, 1)
	if err == nil {
		if time.Since(asked) <= r.timeout { // or it is too slow for requests
			r.answered(reply[0])
		}
		c.heard(reply[1:], r.now())
	}
	return err
}

// addCounters adds what other gates have to know of a: what it has open, and what it used in periods that have a quota and
// in this month.
func (c *call) addCounters(a *account) {
	add := func(k check, key, kind string, value, forget int64) {
		k.account = a
		c.checks = append(c.checks, k)
		c.keys = append(c.keys, key)
		c.args = append(c.args, kind, number(value), number(c.sequence.Add(1)), number(forget))
	}
	used := func(kind keystore.Period, count int) {
		if p := &a.periods[kind]; p.end > 0 {
			add(check{reason: Quota, period: kind, count: count, ends: p.end}, a.usageKey(kind, count), "q", p.used[count], p.forget(kind))
		}
	}
	if !a.kind.isMember() {
		for count := range counts {
			used(keystore.Month, count)
		}
	}
	if a.limits == nil {
		return
	}
	if a.limits.Concurrent > 0 {
		add(check{reason: Concurrent}, a.key("open"), "c", a.open, 0)
	}
	for _, q := range a.limits.Quotas {
		if q.Period != keystore.Month {
			used(q.Period, int(q.Unit))
		}
	}
}
