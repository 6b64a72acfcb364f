package admin

import (
	"slices"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// history remembers the counts of the last minute, so that somebody who looks at the gate for the first time sees what
// is going on now. Requests do not know of it: it reads their counters now and then.
type history struct {
	mu      sync.Mutex // guards what follows
	samples []sample   // of the last minute, oldest first
}

// sample is what had been counted at a time.
type sample struct {
	at     time.Time
	counts proxy.Counts
}

const (
	sampleEvery = 5 * time.Second
	recentTime  = time.Minute
)

func (h *history) add(s sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.samples = slices.DeleteFunc(append(h.samples, s), func(old sample) bool { return s.at.Sub(old.at) > recentTime })
}

// RecentStatus is what became of requests in the last so many seconds.
type RecentStatus struct {
	Seconds  int    `json:"seconds"`
	Requests uint64 `json:"requests"`
	// Failed are those that got a status from 500, from the upstream or from the gate.
	Failed  uint64                  `json:"failed"`
	Refused map[problem.Code]uint64 `json:"refused,omitempty"`
}

// recent returns what was counted between the oldest sample and now, or since the start, when nothing had been.
func (h *history) recent(counts proxy.Counts, started, now time.Time) RecentStatus {
	h.mu.Lock()
	from := sample{at: started}
	if len(h.samples) > 0 && now.Sub(started) > recentTime {
		from = h.samples[0]
	}
	h.mu.Unlock()
	for i := range counts.Refused {
		counts.Refused[i] -= from.counts.Refused[i]
	}
	return RecentStatus{
		Seconds: int(now.Sub(from.at).Round(time.Second).Seconds()), Requests: counts.Requests - from.counts.Requests,
		Failed: counts.Failed - from.counts.Failed, Refused: counts.RefusedByCode(),
	}
}
