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

// call is what Redis is asked about a request that was counted here: whether all gates together exceed a limit with it.
type call struct {
	*command // EVALSHA with the script, the number of keys, and keys
	sequence *atomic.Int64
	checks   []check
	names    []byte // where the keys are
	words    []byte // what the script has to know of each check
}

// check is one limit that Redis is asked about.
type check struct {
	account *account
	reason  Reason
	n       int64           // the limit
	per     time.Duration   // of a rate
	period  keystore.Period // of a quota
	count   int             // of the period: a unit, or what is refused
	ends    int64           // of the period, in seconds since 1970

	value, sequence int64 // that are sent
}

// answer is what Redis says about a call.
type answer struct {
	refused, observed *check        // nil if there is none
	retry             time.Duration // zero if it is not known
	at                []int64       // of each check: what other gates have, or when the bucket of a rate is full again in microseconds since 1970
}

var (
	errReply = errors.New("its reply is not that of the script")

	// ErrForgotten is the reason if Redis has been emptied, or has not heard of this gate for long.
	ErrForgotten = errors.New("what this gate had counted is not there")
)

// newCall makes the call for a request that was counted. The accounts are locked. It may be given back to r.calls, unless it
// failed.
func (r *Redis) newCall(g *Grant) *call {
	c, _ := r.calls.Get().(*call)
	if c == nil {
		c = r.emptyCall(r.admit)
	}
	c.arguments, c.checks, c.names, c.words = c.arguments[:scriptArguments], c.checks[:0], c.names[:0], c.words[:0]
	for reason := g.firstReason(); reason <= Quota; reason++ {
		for _, a := range g.accounts[:g.n] {
			c.add(a, reason)
		}
	}
	return c
}

// scriptArguments is how many arguments a call has before the counters' names.
const scriptArguments = 3

// emptyCall returns a call of a script.
func (r *Redis) emptyCall(script *redis.Script) *call {
	return &call{command: newCommand(evalSHA, script.Hash(), 0, gatesKey), sequence: &r.sequence}
}

// add adds the checks of an account for this reason.
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

// check adds a check of a counter of its account.
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

// checkUse adds a check of what was used in a period.
func (c *call) checkUse(a *account, p *period, kind keystore.Period, count int) *check {
	return c.check(check{account: a, reason: Quota, period: kind, count: count, ends: p.end, value: p.used[count]}, usageNames[kind][count], p.end)
}

// send adds what a script has to know of the check that was added last: a letter and numbers.
func (c *call) send(kind byte, numbers ...int64) {
	c.words = append(c.words, kind)
	for _, n := range numbers {
		c.words = strconv.AppendInt(append(c.words, ' '), n, 10)
	}
	c.words = append(c.words, '\n')
}

// keyPrefix begins the names of all that is in Redis. They have the same hash tag, or a cluster could not count a request in
// one call.
const keyPrefix = "fl:1:{fl}:"

// appendKey appends the name of a counter.
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

// forget returns when a counter of the period may be forgotten, in milliseconds since 1970: one of a month when no report has
// it any more.
func (p *period) forget(kind keystore.Period) int64 {
	days := int64(2)
	if kind == keystore.Month {
		days = 31 * monthsKept
	}
	return (p.end + days*24*3600) * 1000
}

// ask asks Redis, which then has counted the request, unless it refuses it.
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

// run runs the script of a call, which replies with some numbers and one for each check.
func (r *Redis) run(expired <-chan struct{}, c *call, some int) ([]int64, error) {
	c.arguments[1] = 1 + len(c.checks)
	c.arguments = append(c.arguments, *r.name.Load(), r.lease.Microseconds(), c.words)
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

// heard notes what Redis said of each check, and whether it has taken what was sent.
func (c *call) heard(at []int64, taken bool, now time.Time) {
	for i := range c.checks {
		k := &c.checks[i]
		k.account.mu.Lock()
		k.account.hear(k, at[i], taken, now)
		k.account.mu.Unlock()
	}
}

// hear notes what Redis said of a check. What was asked earlier than something that was heard already is no news.
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
				a.others.kept[k.period][k.count] = k.value
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

// excess returns the limit as one that is exceeded.
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
