package limit

import (
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// bucket is the state of a rate: when it would be full again, in nanoseconds since 1970. This is the generic cell rate
// algorithm (GCRA, ITU-T I.371): a token bucket written as one number.
type bucket int64

// rate is a [keystore.Rate] as GCRA has it.
type rate struct {
	every int64 // nanoseconds from one request to the next, evenly spread
	burst int64 // nanoseconds by which the bucket may be filled in advance
}

func rateOf(r keystore.Rate, s Share) rate {
	n := s.of(r.N)
	if n == 0 {
		return rate{every: int64(r.Per), burst: 0}
	}
	every := int64(r.Per) / n
	return rate{every: every, burst: every * n}
}

// enter makes b ready for a look at now: no bucket is more than empty, unless the clock went back.
func (b *bucket) enter(r rate, now int64) { *b = bucket(min(max(int64(*b), now), now+r.burst)) }

// What follows holds at the now for which b was made ready.

// wait returns after which time b lets the next request through: zero if now.
func (b bucket) wait(r rate, now int64) time.Duration {
	return time.Duration(max(int64(b)+r.every-r.burst-now, 0))
}

// take lets a request through.
func (b *bucket) take(r rate) { *b += bucket(r.every) }

// left returns how many requests b lets through at once.
func (b bucket) left(r rate, now int64) int64 { return (r.burst - (int64(b) - now)) / r.every }
