package proxy

import (
	"context"
	"sync"
	"time"
)

// history remembers for a minute what had been counted, so that somebody who looks at the gate for the first
// time sees what is going on now. Requests do not know of it: it reads their counters now and then.
type history struct {
	mu      sync.Mutex // guards what follows
	samples []sample   // of the last minute, oldest first
}

// sample is what had been counted at a time.
type sample struct {
	at       time.Time
	requests uint64
	failed   uint64
	refused  [len(tallied)]uint64
}

const (
	sampleEvery = 5 * time.Second
	recentTime  = time.Minute
)

func sampled(t *tally, at time.Time) sample {
	s := sample{at: at, requests: t.requests.Load(), failed: t.failed.Load()}
	for i := range t.refused {
		s.refused[i] = t.refused[i].Load()
	}
	return s
}

// run takes samples of t until ctx is done.
func (h *history) run(ctx context.Context, t *tally) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.add(sampled(t, now))
		}
	}
}

func (h *history) add(s sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.samples = append(h.samples, s)
	for s.at.Sub(h.samples[0].at) > recentTime {
		h.samples = append(h.samples[:0], h.samples[1:]...)
	}
}

// recent returns what was counted between the oldest sample and now, or since the start, when nothing had been.
func (h *history) recent(t *tally, started, now time.Time) RecentStatus {
	h.mu.Lock()
	from := sample{at: started}
	if len(h.samples) > 0 && now.Sub(started) > recentTime {
		from = h.samples[0]
	}
	h.mu.Unlock()
	s := sampled(t, now)
	r := RecentStatus{Seconds: int(now.Sub(from.at).Round(time.Second).Seconds()), Requests: s.requests - from.requests, Failed: s.failed - from.failed}
	for i, n := range s.refused {
		if n -= from.refused[i]; n > 0 {
			if r.Refused == nil {
				r.Refused = map[Code]uint64{}
			}
			r.Refused[tallied[i]] = n
		}
	}
	return r
}
