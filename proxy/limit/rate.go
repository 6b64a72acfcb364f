package limit

import (
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Bucket is the state of a rate: when it would be full again, in nanoseconds since 1970. This is the generic cell rate
// algorithm (GCRA, ITU-T I.371): a token bucket written as one number. The zero value is full.
type Bucket int64

// Pace is how fast a [Bucket] fills and how much it holds. The zero value holds nothing.
type Pace struct {
	every int64 // nanoseconds from one request to the next, evenly spread
	burst int64 // nanoseconds by which the bucket may be filled in advance
}

// NewPace returns the pace of n requests at once, and as many again spread evenly over each per.
func NewPace(n int64, per time.Duration) Pace {
	every := max(int64(per)/n, 1)
	return Pace{every: every, burst: every * n}
}

func paceOf(r keystore.Rate, s Share) Pace {
	if n := s.of(r.N); n > 0 {
		return NewPace(n, r.Per)
	}
	return Pace{every: int64(r.Per)}
}

// Enter makes b ready for a look at now, in nanoseconds since 1970: no bucket is more than empty, unless the clock went
// back.
func (b *Bucket) Enter(p Pace, now int64) { *b = Bucket(min(max(int64(*b), now), now+p.burst)) }

// What follows holds at the now for which b was made ready.

// Wait returns after which time b lets the next request through: zero if now.
func (b Bucket) Wait(p Pace, now int64) time.Duration {
	return time.Duration(max(int64(b)+p.every-p.burst-now, 0))
}

// Take lets a request through.
func (b *Bucket) Take(p Pace) { *b += Bucket(p.every) }

// left returns how many requests b lets through at once.
func (b Bucket) left(p Pace, now int64) int64 { return (p.burst - (int64(b) - now)) / p.every }
