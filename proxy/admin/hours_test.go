package admin

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// counted has made-up counts by ID.
type counted map[string]stats.Counts

func (c counted) each(do func(id string, counts stats.Counts) bool) {
	for id, counts := range c {
		if !do(id, counts) {
			return
		}
	}
}

// add counts n requests of an ID, each of which waited for its first byte.
func (c counted) add(id string, n int, wait time.Duration) {
	counts := c[id]
	counts.Requests += uint64(n)
	counts.Responses += uint64(n)
	counts.Waited += time.Duration(n) * wait
	c[id] = counts
}

// TestHours counts requests in slots that are sampled as by a gate, with a pause without samples.
func TestHours(t *testing.T) {
	t.Parallel()
	start := time.Date(2027, 1, 1, 0, 1, 0, 0, time.UTC) // in the middle of a slot
	var h hours
	c := counted{}
	at := func(slots float64) time.Time { return start.Add(time.Duration(slots * float64(slotTime))) }
	sample := func(slots float64) { h.sample(at(slots), c.each) }
	want := func(when, id string, want *HourStatus) {
		t.Helper()
		if diff := cmp.Diff(want, h.status(id, c[id])); diff != "" {
			t.Errorf("%s: hour of %s (-want +got):\n%s", when, id, diff)
		}
	}
	sample(0)
	want("at the start", "a", nil)
	c.add("a", 3, 20*time.Millisecond)
	want("in the first slot", "a", &HourStatus{Requests: []uint32{3}, MS: []uint32{20}})
	sample(0.2)
	sample(0.6)
	want("in the second slot", "a", &HourStatus{Requests: []uint32{3, 0}, MS: []uint32{20, 0}})
	c.add("a", 1, time.Microsecond)
	counts := c["a"]
	counts.Requests += 2
	counts.Failed++
	counts.Refused[problem.InvalidKey.Index()]++
	c["a"] = counts
	want("refused and failed ones", "a", &HourStatus{Requests: []uint32{3, 3}, Refused: []uint32{0, 1}, Failed: []uint32{0, 1}, MS: []uint32{20, 1}})
	sample(1.6)
	c.add("b", 5, 2*time.Second)
	sample(4.6) // two slots later than it should
	want("after a pause", "a", &HourStatus{Requests: []uint32{3, 3, 0, 0, 0, 0}, Refused: []uint32{0, 1, 0, 0, 0, 0}, Failed: []uint32{0, 1, 0, 0, 0, 0}, MS: []uint32{20, 1, 0, 0, 0, 0}})
	want("counted before a pause", "b", &HourStatus{Requests: []uint32{5, 0, 0, 0}, MS: []uint32{2000, 0, 0, 0}})
	sample(29.6)
	want("when the first slot has gone", "a", &HourStatus{Requests: append([]uint32{3}, make([]uint32, 29)...), Refused: append([]uint32{1}, make([]uint32, 29)...), Failed: append([]uint32{1}, make([]uint32, 29)...), MS: append([]uint32{1}, make([]uint32, 29)...)})
	sample(31.6)
	want("after an hour", "a", nil)
	c.add("a", 7, time.Second)
	sample(2000)
	want("after three days", "a", nil)
	c.add("a", 1, time.Second)
	want("used again", "a", &HourStatus{Requests: []uint32{1}, MS: []uint32{1000}})
	delete(c, "b")
	sample(2001)
	if _, kept := h.byID["b"]; kept {
		t.Error("the hour of a key that is gone is kept")
	}
}

// TestHoursAreFew has more keys than are remembered. A key that is remembered later is not shown with everything that
// it counted before.
func TestHoursAreFew(t *testing.T) {
	t.Parallel()
	start := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	var h hours
	c := counted{}
	h.sample(start, c.each)
	for i := range 2 * maxHours {
		c.add(fmt.Sprint(i), 1, time.Second)
	}
	h.sample(start.Add(slotTime), c.each)
	if len(h.byID) != maxHours {
		t.Fatalf("keys = %d, want %d", len(h.byID), maxHours)
	}
	first := maps.Clone(h.byID)
	for id := range first {
		delete(c, id) // they leave the key file
	}
	h.sample(start.Add(2*slotTime), c.each)
	h.sample(start.Add(3*slotTime), c.each)
	for id := range c {
		c.add(id, 2, time.Second)
		if got := h.status(id, c[id]); first[id] == nil && (got == nil || got.Requests[0] > 2) {
			t.Fatalf("hour of a key that was added when there was room = %+v, want 2 requests", got)
		}
	}
}
