package limit

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/gomodule/redigo/redis"
)

// gatesKey is where gates.lua notes the gates.
const gatesKey = keyPrefix + "gates"

// membership is what a gate knows of itself among those that share a Redis.
type membership struct {
	noted bool   // Redis has noted the present name
	data  string // names what Redis has counted

	counts bool          // the gate has come back, and was not down at the last probe
	since  time.Time     // when it came back
	ready  time.Time     // before which it does not come back
	pause  time.Duration // for which it stays away the next time
}

// rename gives this gate a name that no gate has had before.
func (r *Redis) rename() {
	name := rand.Text()
	r.name.Store(&name)
}

// registration is the reply of gates.lua.
type registration struct {
	micros int64 // the time of Redis
	noted  bool
	data   string
	gates  []string
}

// register notes this gate in Redis, unless it was noted before and Redis does not know it any more.
func (r *Redis) register(ctx context.Context) (g registration, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.replyTimeout)
	defer cancel()
	asked := time.Now()
	reply, err := redis.Values(r.pipeline.do(ctx.Done(), newCommand(evalSHA, r.gates.Hash(), 1, gatesKey, *r.name.Load(), r.lease.Microseconds(), r.forget.Microseconds(), !r.noted)))
	if err != nil {
		return g, err
	}
	if g, err = parseRegistration(reply); err != nil {
		return g, err
	}
	r.noted = g.noted
	if time.Since(asked) > r.timeout { // it had to connect, say, or is too slow for requests
		return g, errLate
	}
	return g, nil
}

func parseRegistration(reply []any) (g registration, err error) {
	gates, err := redis.Scan(reply, &g.micros, &g.noted, &g.data)
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

// joinAgain lets this gate be noted again, because Redis does not know it any more. Either Redis did not hear of it for
// long, and what it had counted is put to that of gates that are gone: then it goes on as a new one, which has only the rest.
// Or Redis has lost what was counted, and all of it has to be written again, by all gates.
func (r *Redis) joinAgain(data string) {
	r.noted = false
	if data == r.data && time.Since(time.Unix(0, r.last.Load())) > r.forget {
		r.local.eachAccount((*account).handOver)
		r.rename()
		return
	}
	r.ready = time.Now().Add(settle)
	r.touchAll()
}

// handOver leaves what Redis has of this account to gates that are gone.
func (a *account) handOver() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for kind := range a.periods {
		for count := range counts {
			n := &a.periods[kind].used[count]
			*n = max(*n-a.others.kept[kind][count], 0)
		}
	}
	a.others.kept = [len(a.others.kept)][counts]int64{}
	a.past = nil // Redis has it
}
