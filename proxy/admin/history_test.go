package admin

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// counting is a gate's history from counts that a test makes up, second by second.
type counting struct {
	history
	started time.Time
	counts  stats.Counts
	times   stats.ResponseTimes
}

func newCounting(started time.Time) *counting {
	c := &counting{started: started, times: stats.ResponseTimes{Within: make([]uint64, len(stats.Buckets()))}}
	c.begin(started)
	return c
}

// respond counts a response after a time in seconds.
func (c *counting) respond(seconds float64) {
	c.counts.Requests++
	c.times.All++
	for i, bound := range stats.Buckets() {
		if seconds <= bound {
			c.times.Within[i]++
		}
	}
}

func (c *counting) sample(now time.Time) sample {
	times := c.times
	times.Within = append([]uint64{}, times.Within...)
	return sample{now, c.counts, times}
}

// TestLastMinute counts three requests a second, one of them refused and one failed from the third minute on, and
// checks at certain times what was in the last minute.
func TestLastMinute(t *testing.T) {
	t.Parallel()
	c := newCounting(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
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
		now := c.started.Add(time.Duration(second) * time.Second)
		if second > 0 {
			c.counts.Requests += 3
			if second > 120 {
				c.counts.Refused[problem.InvalidKey.Index()]++
				c.counts.Failed++
			}
		}
		if second > 0 && second%int(sampleEvery/time.Second) == 0 {
			c.add(c.sample(now))
		}
		if w, ok := want[second]; ok {
			if diff := cmp.Diff(w, c.lastMinute(c.counts, now)); diff != "" {
				t.Errorf("last minute after %d s (-want +got):\n%s", second, diff)
			}
		}
	}
	if n := len(c.recent); n > 13 {
		t.Errorf("samples kept = %d, want those of a minute", n)
	}
}

// TestLastHour counts a request a second for two hours, each with a response after as many milliseconds as the number
// of its minute, and checks at certain times what was in each minute.
func TestLastHour(t *testing.T) {
	t.Parallel()
	c := newCounting(time.Date(2026, 1, 1, 12, 0, 30, 0, time.UTC)) // in the middle of a minute
	at := func(second int) time.Time { return c.started.Add(time.Duration(second) * time.Second) }
	if got := c.lastHour(c.sample(at(0))); len(got) != 1 || got[0].Requests != 0 || got[0].P95MS != 0 || got[0].Time.Second() != 0 {
		t.Errorf("last hour at the start = %+v, want one minute without requests", got)
	}
	for second := 1; second <= 7200; second++ {
		now := at(second)
		c.respond(float64(now.Minute()) / 1000)
		if now.Minute() == 5 {
			c.counts.Refused[problem.InvalidKey.Index()]++
			c.counts.Refused[problem.UpstreamTimeout.Index()]++ // failed
			c.counts.Failed++
		}
		if second%int(sampleEvery/time.Second) == 0 {
			c.add(c.sample(now))
		}
		if second != 100 && second != 7200 {
			continue
		}
		got := c.lastHour(c.sample(now))
		var all uint64
		for i, m := range got {
			if i > 0 && m.Time.Sub(got[i-1].Time) != time.Minute || m.Time.Second() != 0 {
				t.Fatalf("minutes = %s after %s, want each once", m.Time, got[i-1].Time)
			}
			all += m.Requests
		}
		if last := got[len(got)-1].Time; now.Sub(last) > time.Minute {
			t.Errorf("last minute begins at %s, want the one of %s", last, now)
		}
		if want := uint64(min(second, 59*60+30)); all != want {
			t.Errorf("requests after %d s = %d, want %d", second, all, want)
		}
		for _, m := range got {
			if m.Time.Minute() == 5 && second == 7200 && (m.Refused != 59 || m.Failed != 59 || m.MedianMS < 1 || m.MedianMS > 5 || m.P95MS < m.MedianMS || m.P95MS > 25) {
				t.Errorf("minute 5 = %+v, want 59 refused, 59 failed (that at the full minute was before), and about 5 ms", m)
			}
		}
	}
	if n := len(c.minutes); n != maxMinutes {
		t.Errorf("minutes kept = %d, want %d", n, maxMinutes)
	}
}
