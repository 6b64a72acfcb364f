package limit

import (
	"cmp"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/flowlatch/flowlatch/keystore"
)

// call asks Redis about a request that was counted here: does it make all gates together exceed a limit?
type call struct {
	*command // EVALSHA with the script, the number of keys, and keys
	sequence *atomic.Int64
	checks   []check
	names    []byte // the bytes of the keys
	lines    []byte // a line for each check, for the script
}

// check is one limit that Redis is asked about.
type check struct {
	account *account
	reason  Reason
	n       int64           // the limit
	per     time.Duration   // of a rate
	period  keystore.Period // of a quota
	count   int             // what of the period: a unit, or refused
	ends    int64           // of the period, in seconds since 1970

	value, sequence int64 // as sent
}

// answer is what Redis replied to a call.
type answer struct {
	refused, observed *check        // nil if there is none
	retry             time.Duration // zero if unknown
	at                []int64       // of each check: what other gates have or, for a rate, when its bucket is full (µs since 1970)
}

var (
	errReply = errors.New("its reply is not that of the script")

	// ErrForgotten is the reason given if Redis was emptied, or has not heard from this gate for too long.
	ErrForgotten = errors.New("what this gate had counted is not there")
)

// newCall makes the call for a request that was counted. The caller holds the locks of its accounts, and may put the call
// back into r.calls unless it failed.
func (r *Redis) newCall(g *Grant) *call {
	c, _ := r.calls.Get().(*call)
	if c == nil {
		c = r.emptyCall(r.admit)
	}
	c.arguments, c.checks, c.names, c.lines = c.arguments[:scriptArguments], c.checks[:0], c.names[:0], c.lines[:0]
	for reason := g.firstReason(); reason <= Quota; reason++ {
		for _, a := range g.accounts[:g.n] {
			c.add(a, reason)
		}
	}
	return c
}

// scriptArguments is how many arguments a call has before the counters' names.
const scriptArguments = 3

// emptyCall returns a call of a script, without checks.
func (r *Redis) emptyCall(script *redis.Script) *call {
	return &call{command: newCommand(evalSHA, script.Hash(), 0, gatesKey), sequence: &r.sequence}
}

// add adds the checks of an account's limits of this reason.
func (c *call) add(a *account, reason Reason) {
	l := a.limits
	if l == nil {
		return
	}
	enforced := int64(1)
	if l.Observe {
		enforced = 0
	}
	switch reason {
	case Concurrent:
		if n := int64(l.Concurrent); n > 0 {
			k := c.check(check{account: a, reason: reason, n: n, value: a.open}, "open")
			c.send('c', n, a.open, k.sequence, 0, enforced)
			a.others.shown = k.sequence
		}
	case Rate:
		for _, r := range l.Rates {
			every := max((r.Per / time.Duration(r.N)).Microseconds(), 1)
			k := c.check(check{account: a, reason: reason, n: r.N, per: r.Per}, "rate", r.N, int64(r.Per))
			c.send('r', every*r.N, every, k.sequence, 0, enforced)
		}
	case Quota:
		for _, q := range l.Quotas {
			p := &a.periods[q.Period]
			most := q.N * milli[q.Unit]
			if q.Unit != keystore.Requests {
				most-- // this request has not used any yet
			}
			k := c.checkUse(a, p, q.Period, int(q.Unit))
			k.n = q.N
			c.send('q', most, k.value, k.sequence, p.forget(q.Period), enforced)
		}
	}
}

// check adds a check of a counter of k's account.
func (c *call) check(k check, what string, numbers ...int64) *check {
	from := len(c.names)
	c.names = k.account.appendKey(c.names, what, numbers...)
	return c.checkKey(k, c.names[from:])
}

// checkKey adds a check of the counter with this key.
func (c *call) checkKey(k check, key []byte) *check {
	k.sequence = c.sequence.Add(1)
	c.checks = append(c.checks, k)
	c.arguments = append(c.arguments, key)
	return &c.checks[len(c.checks)-1]
}

// checkUse adds a check of what the account used in a period.
func (c *call) checkUse(a *account, p *period, kind keystore.Period, count int) *check {
	return c.check(check{account: a, reason: Quota, period: kind, count: count, ends: p.end, value: p.used[count]}, usageNames[kind][count], p.end)
}

// send adds the script's line for the last check: a letter and numbers.
func (c *call) send(kind byte, numbers ...int64) {
	c.lines = append(c.lines, kind)
	for _, n := range numbers {
		c.lines = strconv.AppendInt(append(c.lines, ' '), n, 10)
	}
	c.lines = append(c.lines, '\n')
}

// keyPrefix begins the name of everything in Redis. All names have the same hash tag, so that one call can count a
// request in a cluster, too.
const keyPrefix = "fl:1:{fl}:"

// appendKey appends the name of a counter of a.
func (a *account) appendKey(name []byte, what string, numbers ...int64) []byte {
	name = append(append(name, keyPrefix...), a.kind.String()...)
	name = append(append(name, ':'), a.id...)
	switch a.kind {
	case Client:
		name = a.others.client.AppendTo(append(name, ':'))
	case User:
		name = append(append(name, ':'), a.others.user...)
	}
	name = append(append(name, ':'), what...)
	for _, n := range numbers {
		name = strconv.AppendInt(append(name, ':'), n, 10)
	}
	return name
}

// usageNames are the names of what is counted in each period.
var usageNames = func() (names [keystore.Periods][counts]string) {
	for kind := range names {
		for count, what := range [counts]string{"requests", "stream_seconds", "bytes", "refused"} {
			names[kind][count] = keystore.Period(kind).String() + ":" + what
		}
	}
	return names
}()

// forget returns when a counter of the period may be forgotten, in milliseconds since 1970: for a month, when no report
// includes it any more.
func (p *period) forget(kind keystore.Period) int64 {
	days := int64(2)
	if kind == keystore.Month {
		days = 31 * monthsKept
	}
	return (p.end + days*24*3600) * 1000
}

// ask asks Redis, which counts the request unless it refuses it.
func (r *Redis) ask(c *call) (answer, error) {
	reply, err := r.run(r.deadline.soon(r.timeout), c, 4)
	if err != nil {
		return answer{}, err
	}
	r.answered(reply[0])
	return c.answer(reply), nil
}

func (c *call) answer(reply []int64) answer {
	a := answer{retry: time.Duration(reply[3]) * time.Microsecond, at: reply[4:]}
	if n := reply[1]; n > 0 {
		a.refused = &c.checks[n-1]
	}
	if n := reply[2]; n > 0 {
		a.observed = &c.checks[n-1]
	}
	return a
}

// run runs the script of a call, whose reply consists of some numbers and one more for each check. It returns
// ErrForgotten if Redis does not know this gate.
func (r *Redis) run(expired <-chan struct{}, c *call, some int) ([]int64, error) {
	c.arguments[1] = 1 + len(c.checks)
	c.arguments = append(c.arguments, *r.name.Load(), r.lease.Microseconds(), c.lines)
	reply, err := redis.Int64s(r.pipeline.do(expired, c.command))
	switch {
	case err != nil:
		return nil, err
	case len(reply) == 1 && some+len(c.checks) > 1:
		return nil, ErrForgotten
	case len(reply) != some+len(c.checks):
		return nil, errReply
	}
	return reply, nil
}

// evalSHA is the command that runs a script.
const evalSHA = "EVALSHA"

// heard applies what Redis replied to each check. taken says whether Redis stored the values that were sent.
func (c *call) heard(at []int64, taken bool, now time.Time) {
	for i := range c.checks {
		k := &c.checks[i]
		k.account.mu.Lock()
		k.account.hear(k, at[i], taken, now)
		k.account.mu.Unlock()
	}
}

// hear applies what Redis replied to a check, unless the reply to a newer check was applied before.
func (a *account) hear(k *check, at int64, taken bool, now time.Time) {
	if k.sequence < a.others.heard {
		return
	}
	a.others.heard = k.sequence
	switch k.reason {
	case None:
		if taken {
			a.others.listed = max(a.others.listed, k.ends)
		}
	case Concurrent:
		a.others.open, a.others.at = at, now
		if taken && k.value == 0 && k.sequence > a.others.shown {
			a.others.shown = 0
		}
	case Quota:
		if a.periods[k.period].end == k.ends {
			a.others.used[k.period][k.count] = at
			if taken {
				a.others.stored[k.period][k.count] = k.value
			}
		}
	case Rate:
		for i := range a.buckets { // which a reload may have changed
			if a.limits.Rates[i] == (keystore.Rate{N: k.n, Per: k.per}) {
				a.buckets[i] = max(a.buckets[i], Bucket(at*1000))
			}
		}
	}
}

// excess returns the limit of k as one that was exceeded.
func (k *check) excess(retry time.Duration, now time.Time) Excess {
	e := Excess{Reason: k.reason, Holder: k.account.kind, RetryAfter: cmp.Or(retry, time.Second)}
	switch k.reason {
	case Rate:
		e.Limit = keystore.Rate{N: k.n, Per: k.per}.String()
	case Quota:
		e.Unit = keystore.Unit(k.count)
		e.Limit = keystore.Quota{N: k.n, Unit: e.Unit, Period: k.period}.String()
		e.RetryAfter = time.Unix(k.ends, 0).Sub(now)
	default:
		e.Limit = strconv.FormatInt(k.n, 10)
	}
	return e
}
