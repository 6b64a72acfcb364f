package limit

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/flowlatch/flowlatch/keystore"
)

// call is what Redis is asked about a request that was counted here: whether all gates together exceed a limit with it.
type call struct {
	sequence   *atomic.Int64
	checks     []check
	keys, args []string
}

// check is one limit that Redis is asked about.
type check struct {
	account *account
	holder  Kind
	reason  Reason
	limit   string
	rate    keystore.Rate
	period  keystore.Period
	count   int   // of the period: a unit, or what is refused
	ends    int64 // of the period, in seconds since 1970
}

// answer is what Redis says about a call.
type answer struct {
	refused, observed *check        // nil if there is none
	retry             time.Duration // zero if it is not known
	at                []int64       // of each check: what other gates have, or when the bucket of a rate is full again in microseconds since 1970
}

func (r *Redis) newCall(g *Grant) *call {
	c := &call{sequence: &r.sequence}
	for reason := Concurrent; reason <= Quota; reason++ {
		for _, a := range g.accounts[:g.n] {
			a.mu.Lock()
			c.add(a, reason)
			a.mu.Unlock()
		}
	}
	return c
}

// add adds the checks of an account for this reason.
func (c *call) add(a *account, reason Reason) {
	l := a.limits
	if l == nil {
		return
	}
	enforced := "1"
	if l.Observe {
		enforced = "0"
	}
	add := func(k check, key, kind string, limit, value, forget int64) {
		k.account, k.holder, k.reason = a, a.kind, reason
		c.checks = append(c.checks, k)
		c.keys = append(c.keys, key)
		c.args = append(c.args, kind, number(limit), number(value), number(c.sequence.Add(1)), number(forget), enforced)
	}
	switch reason {
	case Concurrent:
		if l.Concurrent > 0 {
			add(check{limit: strconv.Itoa(l.Concurrent)}, a.key("open"), "c", int64(l.Concurrent), a.open, 0)
		}
	case Rate:
		for _, r := range l.Rates {
			every := max((r.Per / time.Duration(r.N)).Microseconds(), 1)
			add(check{limit: r.String(), rate: r}, a.key("rate:"+r.String()), "r", every*r.N, every, 0)
		}
	case Quota:
		for _, q := range l.Quotas {
			p := &a.periods[q.Period]
			most := q.N * milli[q.Unit]
			if q.Unit != keystore.Requests {
				most-- // this request has not used any yet
			}
			add(check{limit: q.String(), period: q.Period, count: int(q.Unit), ends: p.end}, a.usageKey(q.Period, int(q.Unit)), "q", most, p.used[q.Unit], p.forget(q.Period))
		}
	}
}

// key returns the name of a counter. All have the same hash tag, or a cluster could not count a request in one call.
func (a *account) key(what string) string {
	name := "fl:1:{fl}:" + a.kind.String() + ":" + a.id
	switch a.kind {
	case Client:
		name += ":" + a.others.client.String()
	case User:
		name += ":" + a.others.user
	}
	return name + ":" + what
}

// countNames are the names of what a period counts.
var countNames = [counts]string{"requests", "stream_seconds", "bytes", "refused"}

func (a *account) usageKey(p keystore.Period, count int) string {
	return a.key(countNames[count] + ":" + p.String() + ":" + number(a.periods[p].start(p)))
}

// forget returns when a counter of the period may be forgotten, in milliseconds since 1970: one of a month when no report has
// it any more.
func (p *period) forget(kind keystore.Period) int64 {
	days := int64(2)
	if kind == keystore.Month {
		days = 31 * monthsKept
	}
	return (p.end + days*24*3600) * 1000
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// ask asks Redis, which then has counted the request, unless it refuses it.
func (r *Redis) ask(c *call) (a answer, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	reply, err := r.run(ctx, r.admit, c, 4)
	if err != nil {
		return a, err
	}
	r.answered(reply[0])
	if n := reply[1]; n > 0 {
		a.refused = &c.checks[n-1]
	}
	if n := reply[2]; n > 0 {
		a.observed = &c.checks[n-1]
	}
	a.retry, a.at = time.Duration(reply[3])*time.Microsecond, reply[4:]
	return a, nil
}

// run runs a script, which replies with some numbers and one for each check.
func (r *Redis) run(ctx context.Context, script *rueidis.Lua, c *call, some int) ([]int64, error) {
	reply, err := script.Exec(ctx, *r.client.Load(), c.keys, append([]string{r.me, number(r.lease.Microseconds())}, c.args...)).AsIntSlice()
	if err == nil && len(reply) != some+len(c.checks) {
		err = errors.New("its reply is not that of the script")
	}
	return reply, err
}

// heard notes what Redis said of each check.
func (c *call) heard(at []int64, now time.Time) {
	for i, k := range c.checks {
		k.account.mu.Lock()
		k.account.hear(k, at[i], now)
		k.account.mu.Unlock()
	}
}

func (a *account) hear(k check, at int64, now time.Time) {
	switch k.reason {
	case Concurrent:
		a.others.open, a.others.at = at, now
	case Quota:
		if a.periods[k.period].end == k.ends {
			a.others.used[k.period][k.count] = at
		}
	case Rate:
		for i := range a.buckets { // which a reload may have changed
			if a.limits.Rates[i] == k.rate {
				a.buckets[i] = max(a.buckets[i], Bucket(at*1000))
			}
		}
	}
}

// excess returns the limit as one that is exceeded.
func (k *check) excess(retry time.Duration, now time.Time) Excess {
	if k.reason == Quota {
		retry = time.Unix(k.ends, 0).Sub(now)
	}
	return Excess{Reason: k.reason, Holder: k.holder, Limit: k.limit, Unit: keystore.Unit(k.count), RetryAfter: cmp.Or(retry, time.Second)}
}
