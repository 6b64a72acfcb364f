package limit_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestClockThatWasWrong starts with a clock that is far ahead and then is set. Quotas still end when their periods do,
// and what was used meanwhile counts.
func TestClockThatWasWrong(t *testing.T) {
	for _, tt := range []struct {
		limits, want string
	}{
		{"requests: 3/day", "quota 12h0m0s"},
		{"requests: 3/week", "quota 36h0m0s"},
		{"requests: 3/month", "quota 60h0m0s"},
		{"requests: 4/month", "ok"},
	} {
		for _, restarted := range []bool{false, true} {
			l := &limit.Local{}
			path := filepath.Join(t.TempDir(), "usage.json")
			f := open(t, path, l, noon)
			limits := parse(t, tt.limits)
			ahead := noon.AddDate(5, 1, 3)
			for _, now := range []time.Time{ahead, ahead.AddDate(0, 2, 0), noon} {
				if got := begin(l, key(limits), now, limit.Use{}); got != "ok" {
					t.Fatalf("%s: request at %v = %s, want ok", tt.limits, now, got)
				}
				if restarted {
					closeFile(t, f, l, now)
					l = &limit.Local{}
					f = open(t, path, l, noon)
				}
			}
			got := begin(l, key(limits), noon, limit.Use{})
			if tt.limits != "requests: 3/month" && tt.limits != "requests: 4/month" { // past days and weeks are not kept
				got = begin(l, key(limits), noon, limit.Use{})
			}
			if got != tt.want {
				t.Errorf("%s, restarted %t: after the clock was set = %s, want %s", tt.limits, restarted, got, tt.want)
			}
			closeFile(t, f, l, noon)
		}
	}
}

// TestMonthBeforeAWrongClock uses a month's quota, then has the clock ahead for a while, and then is in the same month
// again. The quota continues where it was, and the month is reported once.
func TestMonthBeforeAWrongClock(t *testing.T) {
	var l limit.Local
	limits := parse(t, "requests: 3/month")
	for _, now := range []time.Time{noon, noon.AddDate(4, 0, 0), noon} {
		begin(&l, key(limits), now, limit.Use{Bytes: 1})
	}
	want := []limit.Usage{{Kind: "key", ID: "a", Period: "month", Start: "2026-11-01", Requests: 3, Bytes: 3}}
	got := usage(t, &l, noon)
	var months []limit.Usage
	for _, u := range got {
		if u.Period == "month" {
			months = append(months, u)
		}
	}
	if diff := cmp.Diff(want, months); diff != "" {
		t.Errorf("Usage by month (-want +got):\n%s", diff)
	}
	if got := begin(&l, key(limits), noon, limit.Use{}); got != "quota 60h0m0s" {
		t.Errorf("fourth request of the month = %s, want its quota used up", got)
	}
}

// TestUnsentAfterMidnight begins a request before midnight that after midnight turns out never to have been sent. The new
// day did not count it, so it must not get one back.
func TestUnsentAfterMidnight(t *testing.T) {
	var l limit.Local
	limits := parse(t, "requests: [2/day, 100/week]")
	var unsent limit.Grant
	l.Begin(&unsent, key(limits), noon)
	midnight := noon.Add(12 * time.Hour)
	for range 2 {
		if got := begin(&l, key(limits), midnight, limit.Use{}); got != "ok" {
			t.Fatalf("request of the new day = %s, want ok", got)
		}
	}
	l.End(&unsent, limit.Use{Unsent: true})
	if got := begin(&l, key(limits), midnight, limit.Use{}); got != "quota 24h0m0s" {
		t.Errorf("third request of the new day = %s, want its quota used up", got)
	}
	for _, s := range l.Standings(key(limits), midnight) {
		if s.Limit == "100/week" && s.Left != 98 {
			t.Errorf("left of the week = %d, want 98: the request that was not sent is none", s.Left)
		}
	}
}

// TestMonthsAreForgotten prunes month after month after a key was last used. Its months go once no report includes them,
// and then the key itself.
func TestMonthsAreForgotten(t *testing.T) {
	var l limit.Local
	begin(&l, key(nil), noon, limit.Use{})
	for month := range 14 {
		now := noon.AddDate(0, month, 0)
		l.Prune(now)
		if got := len(usage(t, &l, now)); got == 0 {
			t.Errorf("usage after %d months is gone, want it kept for 13", month)
		}
	}
	l.Prune(noon.AddDate(0, 15, 0))
	if got := usage(t, &l, noon.AddDate(0, 15, 0)); got != nil {
		t.Errorf("usage after 15 months = %v, want none", got)
	}

	// A clock that is years ahead at the start forgets nothing.
	l = limit.Local{}
	if err := l.Restore([]limit.Usage{{Kind: "key", ID: "a", Period: "month", Start: "2026-11-01", Requests: 1}}); err != nil {
		t.Fatal(err)
	}
	for _, now := range []time.Time{noon.AddDate(5, 0, 0), noon.AddDate(5, 0, 0).Add(time.Hour), noon} {
		l.Prune(now)
	}
	if got := begin(&l, key(parse(t, "requests: 1/month")), noon, limit.Use{}); got != "quota 60h0m0s" {
		t.Errorf("request after a clock that was wrong at the start = %s, want the quota used up", got)
	}
}

// open opens a usage file for l.
func open(t *testing.T, path string, l *limit.Local, now time.Time) *limit.File {
	t.Helper()
	f, err := limit.OpenFile(path, l, now)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func closeFile(t *testing.T, f *limit.File, l *limit.Local, now time.Time) {
	t.Helper()
	if err := f.Save(l, now); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// FuzzClock sends requests while the clock jumps. No quota stays used up for longer than two of its periods, and no month
// is reported twice.
func FuzzClock(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Add([]byte{255, 0, 128, 7, 7})
	f.Fuzz(func(t *testing.T, jumps []byte) {
		if len(jumps) > 50 {
			t.Skip()
		}
		var l limit.Local
		limits := &keystore.Limits{Quotas: []keystore.Quota{{N: 1, Period: keystore.Day}, {N: 1, Period: keystore.Month}}}
		now := noon
		for _, jump := range jumps {
			now = now.AddDate(0, 0, int(int8(jump))*int(jump)) //nolint:gosec // forward and back
			if now.Year() < 1971 {
				t.Skip()
			}
			var g limit.Grant
			v := l.Begin(&g, key(limits), now)
			if v.Refused.RetryAfter > 2*31*24*time.Hour {
				t.Fatalf("refused for %s at %v", v.Refused.RetryAfter, now)
			}
			l.End(&g, limit.Use{})
			seen := map[[2]string]bool{}
			for _, u := range usage(t, &l, now) {
				if at := [2]string{u.Period, u.Start}; seen[at] {
					t.Fatalf("%s of %s is reported twice", u.Period, u.Start)
				} else {
					seen[at] = true
				}
			}
		}
	})
}
