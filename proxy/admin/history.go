package admin

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// history remembers the counts of the last minute and, minute by minute, of the last hour, so that somebody who looks
// at the gate for the first time sees what is going on. Requests do not write to it: it reads their counters now and
// then.
type history struct {
	mu      sync.Mutex // guards the fields below
	recent  []sample   // of the last minute, oldest first
	minutes []sample   // the first sample of each minute of the last hour, and that of the start, oldest first
}

// sample is what had been counted at a time.
type sample struct {
	at     time.Time
	counts stats.Counts
	times  stats.ResponseTimes
}

const (
	sampleEvery = 5 * time.Second
	recentTime  = time.Minute
	maxMinutes  = 60
)

// begin notes the start, when nothing had been counted.
func (h *history) begin(at time.Time) { h.minutes = []sample{{at: at}} }

func (h *history) add(s sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recent = slices.DeleteFunc(append(h.recent, s), func(old sample) bool { return s.at.Sub(old.at) > recentTime })
	if last := h.minutes[len(h.minutes)-1]; s.minute().After(last.minute()) {
		h.minutes = append(h.minutes, s)
		h.minutes = slices.Delete(h.minutes, 0, max(0, len(h.minutes)-maxMinutes))
	}
}

func (s sample) minute() time.Time { return s.at.UTC().Truncate(time.Minute) }

// RecentStatus is what became of the requests of the last Seconds seconds.
type RecentStatus struct {
	Seconds  int    `json:"seconds"`
	Requests uint64 `json:"requests"`
	// Failed are those that got a status from 500, from the upstream or from the gate.
	Failed  uint64                  `json:"failed"`
	Refused map[problem.Code]uint64 `json:"refused,omitempty"`
}

// lastMinute returns what was counted between the oldest recent sample and now, or since the start.
func (h *history) lastMinute(counts stats.Counts, now time.Time) RecentStatus {
	h.mu.Lock()
	from := h.minutes[0] // the start, unless that was long ago
	if len(h.recent) > 0 && now.Sub(from.at) > recentTime {
		from = h.recent[0]
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

// MinuteStatus is what became of the requests that ended in a minute.
type MinuteStatus struct {
	Time     time.Time `json:"time"` // its beginning
	Requests uint64    `json:"requests"`
	// Refused are those to which the gate itself responded with a status from 400 to 499, Failed those that got a
	// status from 500, from the upstream or from the gate.
	Refused uint64 `json:"refused"`
	Failed  uint64 `json:"failed"`
	// MedianMS and P95MS are the milliseconds within which half of the allowed requests, and 95 % of them, got the
	// header of their response. They are 0 if there were none.
	MedianMS float64 `json:"median_ms"`
	P95MS    float64 `json:"p95_ms"`
}

// lastHour returns the minutes of the last hour, the oldest first; the last one is still running.
func (h *history) lastHour(now sample) []MinuteStatus {
	h.mu.Lock()
	samples := append(slices.Clone(h.minutes), now)
	h.mu.Unlock()
	minutes := []MinuteStatus{}
	for i, to := range samples[1:] {
		from := samples[i]
		times := to.times.Since(from.times)
		minutes = append(minutes, MinuteStatus{
			Time: from.minute(), Requests: to.counts.Requests - from.counts.Requests,
			Refused: refused(to.counts) - refused(from.counts), Failed: to.counts.Failed - from.counts.Failed,
			MedianMS: milliseconds(times.Quantile(0.5)), P95MS: milliseconds(times.Quantile(0.95)),
		})
	}
	return minutes
}

// refused counts the refusals among counts. Requests that could not be served have a status from 500, and count as
// failed.
func refused(counts stats.Counts) (sum uint64) {
	for i, n := range counts.Refused {
		if n > 0 && (&problem.Error{Code: problem.Codes()[i]}).Status() < 500 {
			sum += n
		}
	}
	return sum
}

// milliseconds returns seconds as milliseconds, to a tenth.
func milliseconds(seconds float64) float64 { return math.Round(seconds*1e4) / 10 }
