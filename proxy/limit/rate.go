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
	burst int64 // nanoseconds by which requests may run ahead of that
}

// NewPace returns the pace of n requests in each per, evenly spread, with a burst of n.
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

// Enter brings b up to date for now, in nanoseconds since 1970. After the clock was set back, b may be more than empty:
// it is then made just empty.
func (b *Bucket) Enter(p Pace, now int64) { *b = Bucket(min(max(int64(*b), now), now+p.burst)) }

// The methods below need a b for which Enter was called with the same p and now.

// Wait returns how long it takes until b lets the next request through: zero if it does now.
func (b Bucket) Wait(p Pace, now int64) time.Duration {
	return time.Duration(max(int64(b)+p.every-p.burst-now, 0))
}

// Take lets a request through.
func (b *Bucket) Take(p Pace) { *b += Bucket(p.every) }

// left returns how many requests b lets through at once.
func (b Bucket) left(p Pace, now int64) int64 { return (p.burst - (int64(b) - now)) / p.every }
