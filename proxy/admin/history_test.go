package admin

import (
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestRecent counts three requests a second, one of them refused and one failed from the third minute on, and asks at
// times what was in the last minute.
func TestRecent(t *testing.T) {
	t.Parallel()
	var h history
	var counted proxy.Counts
	started := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	want := map[int]RecentStatus{ // by the second
		0:   {},
		30:  {Seconds: 30, Requests: 90},
		60:  {Seconds: 60, Requests: 180},
		62:  {Seconds: 57, Requests: 171}, // since the first sample
		100: {Seconds: 60, Requests: 180},
		150: {Seconds: 60, Requests: 180, Failed: 30, Refused: map[problem.Code]uint64{problem.InvalidKey: 30}},
		300: {Seconds: 60, Requests: 180, Failed: 60, Refused: map[problem.Code]uint64{problem.InvalidKey: 60}},
	}
	for second := range 301 {
		now := started.Add(time.Duration(second) * time.Second)
		if second > 0 {
			counted.Requests += 3
			if second > 120 {
				counted.Refused[problem.InvalidKey.Index()]++
				counted.Failed++
			}
		}
		if second > 0 && second%int(sampleEvery/time.Second) == 0 {
			h.add(sample{now, counted})
		}
		if w, ok := want[second]; ok {
			if got := h.recent(counted, started, now); got.Seconds != w.Seconds || got.Requests != w.Requests || got.Failed != w.Failed || got.Refused[problem.InvalidKey] != w.Refused[problem.InvalidKey] || len(got.Refused) != len(w.Refused) {
				t.Errorf("recent after %d s = %+v, want %+v", second, got, w)
			}
		}
	}
	if n := len(h.samples); n > 13 {
		t.Errorf("samples kept = %d, want those of a minute", n)
	}
}
