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

// Fallback is what holds while Redis does not answer.
type Fallback uint8

// The fallbacks.
const (
	Split  Fallback = iota // this gate has its share, by the number of gates that Redis last knew
	Whole                  // this gate has the whole of every limit
	Closed                 // requests with a limit are refused
)

// String returns the fallback as the setting has it.
func (f Fallback) String() string { return [...]string{"split", "local", "closed"}[f] }

// RedisOptions are the settings of a Redis.
type RedisOptions struct {
	// Fallback is what holds while Redis does not answer.
	Fallback Fallback
	// Timeout is how long a request waits for Redis at most. Zero means 25 ms.
	Timeout time.Duration
	// Lease is after which time what a gate that died had open no longer counts. Zero means 30 s.
	Lease time.Duration
	// Forget is after which time without a word a gate is gone for good. Zero means an hour.
	Forget time.Duration
	// Changed is told when Redis does not answer, with the reason, and when it answers again, with nil. It must not wait.
	Changed func(error)
}

// The times of a Redis.
const (
	defaultTimeout = 25 * time.Millisecond
	probeEvery     = 250 * time.Millisecond // so that it is known within a second that Redis is gone, or back
	syncEvery      = 200 * time.Millisecond // after which what was used is written
	placeEvery     = 5 * time.Millisecond   // after which places that have come free are, where other gates may wait for them
	runTimeout     = 2 * probeEvery         // of calls that no request waits for
	silence        = time.Second            // after which a connection is given up: only after it is known that Redis is gone
	hearEvery      = time.Second            // how often it is asked what other gates have open, where they had some

	defaultLease  = 30 * time.Second
	defaultForget = time.Hour
)

// Redis counts for all gates that share a Redis. What this gate counts is kept in this process, too: by it, what other
// gates could only confirm is refused without asking Redis, and all is decided while Redis does not answer. All methods may
// be called concurrently.
type Redis struct {
	local          Local
	options        RedisOptions
	lease, timeout time.Duration
	forget         time.Duration
	replyTimeout   time.Duration // of calls that no request waits for

	pipeline *pipeline
	calls    sync.Pool              // of requests, that are not in use
	deadline deadline               // of requests
	name     atomic.Pointer[string] // of this gate in Redis; another one after each start
	up       atomic.Bool
	told     atomic.Pointer[bool] // what Changed was last told; nil at first
	last     atomic.Int64         // when Redis last answered, in nanoseconds since 1970
	offset   atomic.Int64         // what its clock is ahead, in nanoseconds

	sequence atomic.Int64 // of what is written: what is newer has a higher number
	share    atomic.Pointer[Share]

	admit, keep, gates, sum *redis.Script
	ended                   chan struct{} // has one if a place has come free since they were written

	mu    sync.Mutex
	dirty map[*account]extent // what has to be written; guarded by mu
	freed map[*account]extent // those with places that have come free, for which others may wait; guarded by mu

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

// NewRedis returns a Redis, which decides alone until [Redis.Run] has connected it.
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

// script returns a script whose calls say how many keys they have.
func script(source string) *redis.Script { return redis.NewScript(-1, source) }

// Begin is as of [Local].
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
		return v // what other gates have counted can only add to a refusal
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
		r.touchGrant(&counted, all) // the call may have counted
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
		if reply.refused.reason != Concurrent { // or each request of a client that hammers would be a call more
			r.free(&counted) // a request beside it may have said that this one is open
		}
		v = Verdict{Refused: reply.refused.excess(reply.retry, now)}
	} else if reply.observed != nil && v.Observed.Reason == None {
		v.Observed = reply.observed.excess(0, now)
	}
	c.heard(reply.at, reply.refused == nil, now)
	r.calls.Put(c)
	return v
}

// beginCall counts a request here, unless it exceeds a limit, and makes the call that asks whether it does at all gates.
func (r *Redis) beginCall(g *Grant, holders []Holder, now time.Time) (v Verdict, c *call) {
	r.local.lock(g, holders)
	v = g.begin(holders, rule{}, now)
	if v.Refused.Reason == None {
		// Still locked: of two requests at once, the second asks for one place more than the first, so one of them gets the last.
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
		// What other gates had open may go on: within their lease, it counts.
		return r.local.begin(g, holders, rule{rates: r.Share(), rest: r.Share(), others: r.lease}, now)
	}
}

// End is as of [Local].
func (r *Redis) End(g *Grant, u Use) {
	ended := *g
	frees := r.local.end(g, u)
	if !r.up.Load() {
		return // all is written when Redis answers again; until then, accounts that were dropped must not be kept
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

// free notes that places of a grant have come free, if there is another gate where somebody may wait for them.
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

// touchGrant notes that what has changed of the accounts of a grant has to be written. It has to be all of them if something
// was taken back: Redis may have more by now than it was heard to have.
func (r *Redis) touchGrant(g *Grant, what extent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range g.accounts[:g.n] {
		r.dirty[a] = max(r.dirty[a], what)
	}
}

// unconfirmed returns the limit of requests at once for which a request is refused when Redis has not answered in time,
// but is there: other gates may have more than their share open, and nobody knows how much.
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

// Standings is as of [Local].
func (r *Redis) Standings(holders []Holder, now time.Time) []Standing {
	return r.local.Standings(holders, now.Add(r.ahead()))
}

// Low is as of [Local].
func (r *Redis) Low(holders []Holder, now time.Time) []Standing {
	return r.local.Low(holders, now.Add(r.ahead()))
}

// Prune is as of [Local].
func (r *Redis) Prune(now time.Time) { r.local.Prune(now.Add(r.ahead())) }

// Open returns how many requests of a key this gate has at the upstream.
func (r *Redis) Open(key string) int64 { return r.local.Open(key) }

// Clients is as of [Local].
func (r *Redis) Clients() int { return r.local.Clients() }

// Up reports whether Redis answers.
func (r *Redis) Up() bool { return r.up.Load() }

// Share returns the part of all limits that this gate has while Redis does not answer.
func (r *Redis) Share() Share {
	if s := r.share.Load(); s != nil {
		return *s
	}
	return Share{}
}

// now is the time of Redis.
func (r *Redis) now() time.Time { return time.Now().Add(r.ahead()) }

func (r *Redis) ahead() time.Duration { return time.Duration(r.offset.Load()) }
