package limit

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/gomodule/redigo/redis"
)

// gatesKey is the hash in which gates.lua registers the gates.
const gatesKey = keyPrefix + "gates"

// membership is what a gate knows of its own registration in Redis.
type membership struct {
	registered bool   // Redis has registered the current name
	data       string // identifies what Redis has counted, as in gates.lua

	counts bool          // the gate counts by Redis, and Redis was up at the last probe
	since  time.Time     // since when it counts by Redis
	ready  time.Time     // it does not count by Redis again before this time
	pause  time.Duration // how long it stays away the next time
}

// rename gives this gate a name that no gate has had before.
func (r *Redis) rename() {
	name := rand.Text()
	r.name.Store(&name)
}

// registration is the reply of gates.lua.
type registration struct {
	micros     int64 // the time by the clock of Redis
	registered bool
	data       string
	gates      []string
}

// register registers this gate in Redis, unless it was registered before and Redis no longer knows it.
func (r *Redis) register(ctx context.Context) (g registration, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.replyTimeout)
	defer cancel()
	asked := time.Now()
	reply, err := redis.Values(r.pipeline.do(ctx.Done(), newCommand(evalSHA, r.gates.Hash(), 1, gatesKey, *r.name.Load(), r.lease.Microseconds(), r.forget.Microseconds(), !r.registered)))
	if err != nil {
		return g, err
	}
	if g, err = parseRegistration(reply); err != nil {
		return g, err
	}
	r.registered = g.registered
	if time.Since(asked) > r.timeout { // it had to connect, for example, or is too slow for requests
		return g, errLate
	}
	return g, nil
}

func parseRegistration(reply []any) (g registration, err error) {
	gates, err := redis.Scan(reply, &g.micros, &g.registered, &g.data)
	if err != nil {
		return g, err
	}
	g.gates, err = redis.Strings(gates, nil)
	return g, err
}

// share returns which part of all limits this gate has.
func (g *registration) share(name string) (s Share, found bool) {
	slices.Sort(g.gates)
	i, found := slices.BinarySearch(g.gates, name)
	return Share{Index: i, Count: len(g.gates)}, found
}

// joinAgain lets this gate register again, because Redis no longer knows it. If Redis has not heard from it for long, its
// counts were merged with those of gates that are gone: it takes a new name and keeps only what Redis does not have.
// Otherwise Redis has lost its counts, and all gates must write all of theirs again.
func (r *Redis) joinAgain(data string) {
	r.registered = false
	if data == r.data && time.Since(time.Unix(0, r.last.Load())) > r.forget {
		r.local.eachAccount((*account).handOver)
		r.rename()
		return
	}
	r.ready = time.Now().Add(settle)
	r.touchAll()
}

// handOver subtracts what Redis has of this account: that now belongs to the gates that are gone.
func (a *account) handOver() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for kind := range a.periods {
		for count := range counts {
			n := &a.periods[kind].used[count]
			*n = max(*n-a.others.stored[kind][count], 0)
		}
	}
	a.others.stored = [len(a.others.stored)][counts]int64{}
	a.past = nil // Redis has it
}
