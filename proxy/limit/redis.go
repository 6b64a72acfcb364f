package limit

import (
	"cmp"
	_ "embed"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Fallback says which limits apply while Redis does not answer.
type Fallback uint8

// The fallbacks.
const (
	Split  Fallback = iota // each gate has its share, by the number of gates that Redis last knew
	Whole                  // each gate has the whole of every limit
	Closed                 // requests with a limit that is enforced are refused
)

// String returns the fallback as it is written in the setting.
func (f Fallback) String() string { return [...]string{"split", "local", "closed"}[f] }

// RedisOptions are the settings of a Redis.
type RedisOptions struct {
	// Fallback says which limits apply while Redis does not answer.
	Fallback Fallback
	// Timeout is how long a request waits for Redis at most. Zero means 25 ms.
	Timeout time.Duration
	// Lease is how long the requests that a gate had open still count after it has died. Zero means 30 s.
	Lease time.Duration
	// Forget is how long a gate may be silent before it counts as gone for good. Zero means an hour.
	Forget time.Duration
	// Changed is called with the reason when Redis stops answering, and with nil when it answers again. It must not
	// block.
	Changed func(error)
}

// Times for talking to Redis.
const (
	defaultTimeout = 25 * time.Millisecond
	probeEvery     = 250 * time.Millisecond // short enough to notice within a second that Redis is gone, or back
	syncEvery      = 200 * time.Millisecond // how often use is written
	placeEvery     = 5 * time.Millisecond   // how often freed places are written that other gates may be waiting for
	runTimeout     = 2 * probeEvery         // for calls that no request waits for
	silence        = time.Second            // how long a connection may be silent: longer than it takes to notice that Redis is gone
	hearEvery      = time.Second            // how often to ask what other gates have open, where they had some

	defaultLease  = 30 * time.Second
	defaultForget = time.Hour
)

// Redis counts for all gates that share a Redis. It also keeps this gate's own counts in the process. If they alone
// exceed a limit, it refuses the request without asking Redis, since other gates could only add to them; and while Redis
// does not answer, it decides by them. All methods may be called concurrently.
type Redis struct {
	local          Local
	options        RedisOptions
	lease, timeout time.Duration
	forget         time.Duration
	replyTimeout   time.Duration // for calls that no request waits for

	pipeline *pipeline
	calls    sync.Pool              // unused calls, for requests
	deadline deadline               // shared by requests
	name     atomic.Pointer[string] // of this gate in Redis; a new one after each start
	up       atomic.Bool
	reported atomic.Pointer[bool] // what Changed was last told; nil before the first call
	last     atomic.Int64         // when Redis last answered, in nanoseconds since 1970
	offset   atomic.Int64         // how far its clock is ahead of ours, in nanoseconds

	sequence atomic.Int64 // number of the last value that was written: newer values have higher ones
	share    atomic.Pointer[Share]

	admit, keep, gates, sum *redis.Script
	ended                   chan struct{} // holds a token if a place has come free since freed was last written

	mu    sync.Mutex
	dirty map[*account]extent // accounts that have to be written; guarded by mu
	freed map[*account]extent // accounts with freed places that other gates may be waiting for; guarded by mu

	membership // used by Run alone
}

var (
	//go:embed admit.lua
	admitScript string
	//go:embed keep.lua
	keepScript string
	//go:embed gates.lua
	gatesScript string
	//go:embed sum.lua
	sumScript string
)

// NewRedis returns a Redis that decides by its own counts until [Redis.Run] has connected it.
func NewRedis(o RedisOptions) *Redis {
	r := &Redis{
		options: o, lease: cmp.Or(o.Lease, defaultLease), timeout: cmp.Or(o.Timeout, defaultTimeout), forget: cmp.Or(o.Forget, defaultForget),
		replyTimeout: max(runTimeout, o.Timeout),
		admit:        script(admitScript), keep: script(keepScript), gates: script(gatesScript), sum: script(sumScript),
		pipeline: newPipeline(), ended: make(chan struct{}, 1), dirty: map[*account]extent{}, freed: map[*account]extent{},
	}
	r.rename()
	r.local.keys.shared, r.local.chatflows.shared, r.local.clients.shared, r.local.users.shared = true, true, true, true
	return r
}

// script returns a script whose number of keys is given in each call.
func script(source string) *redis.Script { return redis.NewScript(-1, source) }

// Begin is like [Local.Begin], for all gates together.
func (r *Redis) Begin(g *Grant, holders []Holder, now time.Time) Verdict {
	now = now.Add(r.ahead())
	limited := slices.ContainsFunc(holders, func(h Holder) bool { return !h.Limits.Empty() })
	if limited && !r.up.Load() {
		return r.alone(g, holders, now)
	}
	if !limited {
		return r.local.begin(g, holders, rule{}, now)
	}
	v, c := r.beginCall(g, holders, now)
	if v.Refused.Reason != None {
		return v // the counts of other gates could not change a refusal
	}
	if len(c.checks) == 0 {
		r.calls.Put(c)
		return v
	}
	reply, err := r.ask(c)
	if err != nil {
		r.failed(err)
		counted := *g
		g.undo(rule{}, false)
		r.touchGrant(&counted, all) // Redis may have counted it
		r.free(&counted)
		if e := unconfirmed(g, holders); e.Reason != None && r.up.Load() && r.options.Fallback != Whole {
			return Verdict{Refused: e}
		}
		return r.alone(g, holders, now)
	}
	if reply.refused != nil {
		counted := *g
		g.undo(rule{}, true)
		r.touchGrant(&counted, changes)
		if reply.refused.reason != Concurrent { // else each retry of a client that hammers would cause one more call
			r.free(&counted) // a concurrent request may have told Redis that this one is open
		}
		v = Verdict{Refused: reply.refused.excess(reply.retry, now)}
	} else if reply.observed != nil && v.Observed.Reason == None {
		v.Observed = reply.observed.excess(0, now)
	}
	c.heard(reply.at, reply.refused == nil, now)
	r.calls.Put(c)
	return v
}

// beginCall counts a request here, unless it exceeds a limit already by this gate's counts. Then it makes the call that
// asks Redis about all gates.
func (r *Redis) beginCall(g *Grant, holders []Holder, now time.Time) (v Verdict, c *call) {
	r.local.lock(g, holders)
	v = g.begin(holders, rule{}, now)
	if v.Refused.Reason == None {
		// The accounts are still locked, so of two concurrent requests the second asks for one place more than the first,
		// and one of them gets the last place.
		c = r.newCall(g)
	}
	g.unlock()
	if v.Refused.Reason != None {
		*g = Grant{}
	}
	return v, c
}

// alone decides while Redis does not answer.
func (r *Redis) alone(g *Grant, holders []Holder, now time.Time) Verdict {
	switch r.options.Fallback {
	case Closed:
		for _, h := range holders {
			if !h.Limits.Empty() && !h.Limits.Observe {
				*g = Grant{}
				return Verdict{Refused: Excess{Reason: Rate, Holder: h.Kind, Limit: "0 while Redis does not answer", RetryAfter: time.Second}}
			}
		}
		return r.local.begin(g, holders, rule{}, now)
	case Whole:
		return r.local.begin(g, holders, rule{}, now)
	default:
		// Requests that other gates had open may still run, so they count until their lease has ended.
		return r.local.begin(g, holders, rule{rates: r.Share(), rest: r.Share(), others: r.lease}, now)
	}
}

// End is like [Local.End].
func (r *Redis) End(g *Grant, u Use) {
	ended := *g
	frees := r.local.end(g, u)
	if !r.up.Load() {
		return // everything is written when Redis answers again; until then, dropped accounts must not be kept in memory
	}
	what := changes
	if u.Unsent {
		what = all
	}
	r.touchGrant(&ended, what)
	if frees {
		r.free(&ended)
	}
}

// free notes that the places of a grant have come free, if there is another gate where requests may be waiting for them.
func (r *Redis) free(g *Grant) {
	if r.Share().Count <= 1 {
		return
	}
	r.mu.Lock()
	for _, a := range g.accounts[:g.n] {
		r.freed[a] = places
	}
	r.mu.Unlock()
	select {
	case r.ended <- struct{}{}:
	default:
	}
}

// touchGrant notes that this much of the accounts of a grant has to be written. If something was taken back, it has to be
// all of them, since Redis may by now have more than it last reported.
func (r *Redis) touchGrant(g *Grant, what extent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range g.accounts[:g.n] {
		r.dirty[a] = max(r.dirty[a], what)
	}
}

// unconfirmed returns the limit of requests at once that refuses a request if Redis is up but has not answered in time:
// other gates may have more than their share open, and nobody knows how much.
func unconfirmed(g *Grant, holders []Holder) Excess {
	if g.Placeless {
		return Excess{}
	}
	for _, h := range holders {
		if l := h.Limits; l != nil && l.Concurrent > 0 && !l.Observe {
			return Excess{Reason: Concurrent, Holder: h.Kind, Limit: strconv.Itoa(l.Concurrent) + " while Redis answers too late", RetryAfter: time.Second}
		}
	}
	return Excess{}
}

// Standings is like [Local.Standings].
func (r *Redis) Standings(holders []Holder, now time.Time) []Standing {
	return r.local.Standings(holders, now.Add(r.ahead()))
}

// Low is like [Local.Low].
func (r *Redis) Low(holders []Holder, now time.Time) []Standing {
	return r.local.Low(holders, now.Add(r.ahead()))
}

// Prune is like [Local.Prune].
func (r *Redis) Prune(now time.Time) { r.local.Prune(now.Add(r.ahead())) }

// Open returns how many requests of a key this gate has at the upstream.
func (r *Redis) Open(key string) int64 { return r.local.Open(key) }

// Clients is like [Local.Clients].
func (r *Redis) Clients() int { return r.local.Clients() }

// Up reports whether Redis answers.
func (r *Redis) Up() bool { return r.up.Load() }

// Share returns this gate's part of all limits while Redis does not answer.
func (r *Redis) Share() Share {
	if s := r.share.Load(); s != nil {
		return *s
	}
	return Share{}
}

// now returns the time by the clock of Redis.
func (r *Redis) now() time.Time { return time.Now().Add(r.ahead()) }

func (r *Redis) ahead() time.Duration { return time.Duration(r.offset.Load()) }
