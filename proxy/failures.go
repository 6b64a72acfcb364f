package proxy

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/proxy/limit"
	"github.com/flowlatch/flowlatch/proxy/share"
)

// FailureLimit is how many requests without a valid key a client may send before it gets 429: Burst requests in each Per,
// evenly spread, and up to Burst at once.
type FailureLimit struct {
	Burst int
	Per   time.Duration
}

// DefaultFailureLimit is the limit of a client address.
var DefaultFailureLimit = FailureLimit{Burst: 30, Per: time.Minute}

// Failures counts requests without a valid key by client address. It does not remember addresses: each is hashed to one
// of a fixed number of counters, so no number of addresses makes it grow. Two addresses with the same counter share a
// limit. An outsider cannot bring that about, because the seed is random. And all that is at stake is whether a refusal
// is a 401 or a 429: a request with a valid key is never counted here, and never refused because of this limit. All
// methods may be called concurrently.
//
// A counter is a [limit.Bucket].
type Failures struct {
	limited  bool
	pace     limit.Pace
	seed     maphash.Seed
	counters [1 << 14]atomic.Int64
}

// NewFailures returns counters for a limit. If Burst or Per is zero or less, there is no limit.
func NewFailures(l FailureLimit) *Failures {
	f := &Failures{seed: maphash.MakeSeed()}
	if l.Burst > 0 && l.Per > 0 {
		f.limited, f.pace = true, limit.NewPace(int64(l.Burst), l.Per)
	}
	return f
}

// Count counts a failure of client at now. It reports whether that is one too many, and if so, how long the client must
// wait.
func (f *Failures) Count(client netip.Addr, now time.Time) (after time.Duration, tooMany bool) {
	if !f.limited {
		return 0, false
	}
	counter := &f.counters[maphash.Comparable(f.seed, share.Network(client))%uint64(len(f.counters))]
	t := now.UnixNano()
	for {
		was := counter.Load()
		b := limit.Bucket(was)
		b.Enter(f.pace, t)
		if after := b.Wait(f.pace, t); after > 0 {
			return after, true
		}
		if b.Take(f.pace); counter.CompareAndSwap(was, int64(b)) {
			return 0, false
		}
	}
}
