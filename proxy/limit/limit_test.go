package limit_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// parse returns limits as they are written in a key file.
func parse(t testing.TB, limits string) *keystore.Limits {
	t.Helper()
	if limits == "" {
		return nil
	}
	s, err := keystore.Parse("keys.yaml", []byte("version: 1\nchatflows:\n- {id: x, public: true, limits: {"+limits+"}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := s.Chatflow("x")
	return c.Limits
}

func key(l *keystore.Limits) []limit.Holder {
	return []limit.Holder{{Kind: limit.Key, ID: "a", Limits: l}}
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) // a Saturday

// TestBegin sends requests at times after noon. Each is ok, observed, or refused for a reason, with the time to wait
// before another try.
func TestBegin(t *testing.T) {
	for _, tt := range []struct {
		name, limits string
		at           []time.Duration // of requests that end at once
		want         []string
	}{
		{"nothing limited", "", times(0, 0, 0), words("ok", "ok", "ok")},
		{"a burst, then evenly", "requests: 2/1s", times(0, 0, 0, 499*ms, 500*ms, 500*ms, 999*ms, 1000*ms), words("ok", "ok", "rate 500ms", "rate 1ms", "ok", "rate 500ms", "rate 1ms", "ok")},
		{"a refused request is not counted", "requests: 1/1s", times(0, 1*ms, 2*ms, 999*ms, 1000*ms), words("ok", "rate 999ms", "rate 998ms", "rate 1ms", "ok")},
		{"a time of rest lets no more through than a burst", "requests: 2/1s", times(0, time.Hour, time.Hour, time.Hour), words("ok", "ok", "ok", "rate 500ms")},
		{"the longest wait of two rates", "requests: [2/1s, 3/1m]", times(0, 0, 0, time.Second, time.Second), words("ok", "ok", "rate 500ms", "ok", "rate 19s")},
		{"a clock that goes back", "requests: 2/1s", times(0, 0, -time.Hour, -time.Hour+500*ms, 0), words("ok", "ok", "rate 500ms", "ok", "ok")},
		{"a quota until midnight", "requests: 2/day", times(0, 0, 0, 12*time.Hour-1, 12*time.Hour), words("ok", "ok", "quota 12h0m0s", "quota 1s", "ok")},
		{"a week until Monday", "requests: 1/week", times(0, 24*time.Hour, 36*time.Hour-time.Second, 36*time.Hour), words("ok", "quota 12h0m0s", "quota 1s", "ok")},
		{"a month until the first", "requests: 1/month", times(0, 60*time.Hour-time.Second, 60*time.Hour, 61*time.Hour), words("ok", "quota 1s", "ok", "quota 743h0m0s")},
		{"a clock that goes back does not reopen a day", "requests: 1/day", times(0, 12*time.Hour, -time.Hour, 13*time.Hour), words("ok", "ok", "quota 37h0m0s", "quota 23h0m0s")},
		{"not enforced", "requests: [1/1s, 2/day], enforce: false", times(0, 0, 0), words("ok", "observed rate", "observed rate")},
		{"the longest quota", "requests: [1/day, 1/month]", times(0, 0), words("ok", "quota 60h0m0s")},
		{"rate before quota", "requests: [1/1s, 1/day]", times(0, 0, time.Second), words("ok", "rate 1s", "quota 11h59m59s")},
		{"many of a long time", "requests: 1000000/1s", times(0, 0), words("ok", "ok")},
		{"an odd part of a second", "requests: 7/1s", times(0, 0, 0, 0, 0, 0, 0, 0), words("ok", "ok", "ok", "ok", "ok", "ok", "ok", "rate 142.857142ms")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l limit.Local
			limits := parse(t, tt.limits)
			var got []string
			for _, at := range tt.at {
				got = append(got, begin(&l, key(limits), noon.Add(at), limit.Use{}))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("requests at %v (-want +got):\n%s", tt.at, diff)
			}
		})
	}
}

const ms = time.Millisecond

func times(at ...time.Duration) []time.Duration { return at }
func words(w ...string) []string                { return w }

// begin begins a request that uses u, ends it, and returns what became of it.
func begin(l *limit.Local, holders []limit.Holder, now time.Time, u limit.Use) string {
	var g limit.Grant
	v := l.Begin(&g, holders, now)
	if v.Refused.Reason == limit.None {
		l.End(&g, u)
	}
	return verdict(v)
}

func verdict(v limit.Verdict) string {
	name := [...]string{limit.Concurrent: "concurrent", limit.Rate: "rate", limit.Quota: "quota"}
	switch {
	case v.Refused.Reason != limit.None:
		return name[v.Refused.Reason] + " " + v.Refused.RetryAfter.String()
	case v.Observed.Reason != limit.None:
		return "observed " + name[v.Observed.Reason]
	}
	return "ok"
}

// TestQuotasOfUse tests quotas of what is known only when a request ends.
func TestQuotasOfUse(t *testing.T) {
	for _, tt := range []struct {
		limits string
		uses   []limit.Use
		want   []string
	}{
		{"bytes: 1KiB/day", []limit.Use{{Bytes: 1023}, {Bytes: 1000}, {}}, words("ok", "ok", "quota 12h0m0s")},
		{"stream_seconds: 2/day", []limit.Use{{Time: 1999 * ms}, {Time: ms}, {}}, words("ok", "ok", "quota 12h0m0s")},
		{"requests: 1/day", []limit.Use{{Unsent: true}, {Unsent: true}, {}, {}}, words("ok", "ok", "ok", "quota 12h0m0s")},
		{"requests: 1/1s", []limit.Use{{Unsent: true}, {}}, words("ok", "rate 1s")},
	} {
		var l limit.Local
		limits := parse(t, tt.limits)
		var got []string
		for _, u := range tt.uses {
			got = append(got, begin(&l, key(limits), noon, u))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s, requests that use %+v (-want +got):\n%s", tt.limits, tt.uses, diff)
		}
	}
}

// TestAllOrNone sends requests with a holder of each kind. A request that one holder refuses is not counted against the
// others.
func TestAllOrNone(t *testing.T) {
	for refusing, want := range []string{"key", "chatflow", "client", "user"} {
		limits := []*keystore.Limits{parse(t, "requests: 3/1h"), parse(t, "requests: [3/1h, 3/day]"), parse(t, "requests: 3/1h, concurrent: 3"), parse(t, "requests: [3/1h, 3/1m]")}
		limits[refusing] = parse(t, "requests: 1/1h")
		holders := []limit.Holder{
			{Kind: limit.Key, ID: "x", Limits: limits[0]},
			{Kind: limit.Chatflow, ID: "x", Limits: limits[1]},
			{Kind: limit.Client, ID: "x", Client: netip.MustParseAddr("192.0.2.1"), Limits: limits[2]},
			{Kind: limit.User, ID: "x", User: "0123456789abcdef", Limits: limits[3]},
		}
		var l limit.Local
		var g limit.Grant
		for n := range 3 {
			v := l.Begin(&g, holders, noon)
			if n > 0 && (v.Refused.Reason != limit.Rate || v.Refused.Holder.String() != want) {
				t.Errorf("request %d = %+v, want it refused for the %s", n+1, v, want)
			}
		}
		for i, h := range holders {
			if i == refusing {
				continue
			}
			for _, s := range l.Standings([]limit.Holder{h}, noon) {
				if s.Left != 2 {
					t.Errorf("after one request and two refused for the %s, left of the %s's %s = %d of 3, want 2", want, h.Kind, s.Limit, s.Left)
				}
			}
		}
	}
}

// TestConcurrent has many goroutines use two keys, a chatflow and clients. None of them ever has more requests open than
// its limit, and no place is lost.
func TestConcurrent(t *testing.T) {
	var l limit.Local
	limits := []*keystore.Limits{parse(t, "concurrent: 7"), parse(t, "concurrent: 11"), parse(t, "concurrent: 2")}
	var open [2]atomic.Int64     // of two keys
	var clients [16]atomic.Int64 // of client addresses
	var all atomic.Int64
	check := func(what string, n *atomic.Int64, most int64) {
		if got := n.Add(1); got > most {
			t.Errorf("%s: %d at once, want at most %d", what, got, most)
		}
	}
	stop := make(chan struct{})
	var pruning, working sync.WaitGroup
	pruning.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				l.Prune(time.Now())
			}
		}
	})
	var admitted atomic.Int64
	for range 200 {
		working.Go(func() {
			for range 50 {
				k, c := rand.IntN(2), rand.IntN(len(clients))
				holders := []limit.Holder{
					{Kind: limit.Key, ID: fmt.Sprint(k), Limits: limits[0]},
					{Kind: limit.Chatflow, ID: "x", Limits: limits[1]},
					{Kind: limit.Client, ID: "x", Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(c)}), Limits: limits[2]},
				}
				var g limit.Grant
				if l.Begin(&g, holders, time.Now()).Refused.Reason != limit.None {
					continue
				}
				admitted.Add(1)
				check("key", &open[k], 7)
				check("chatflow", &all, 11)
				check("client", &clients[c], 2)
				for _, n := range []*atomic.Int64{&open[k], &all, &clients[c]} {
					n.Add(-1)
				}
				l.End(&g, limit.Use{})
			}
		})
	}
	working.Wait()
	close(stop)
	pruning.Wait()
	for _, h := range []limit.Holder{{Kind: limit.Key, ID: "0", Limits: limits[0]}, {Kind: limit.Chatflow, ID: "x", Limits: limits[1]}} {
		if s := l.Standings([]limit.Holder{h}, time.Now()); s[0].Left != s[0].N {
			t.Errorf("left of the %s's places after all have ended = %d, want %d", h.Kind, s[0].Left, s[0].N)
		}
	}
	if admitted.Load() == 0 {
		t.Error("no request was let through")
	}
}

// TestLimitsThatChange changes limits between requests, as a reload does. What stays the same is not reset.
func TestLimitsThatChange(t *testing.T) {
	var l limit.Local
	for n, step := range []struct{ limits, want string }{
		{"requests: [2/1h, 3/day]", "ok"},
		{"requests: [5/1s, 2/1h, 3/day]", "ok"},
		{"requests: [2/1h, 9/1m, 3/day]", "rate 30m0s"},
		{"requests: 3/day", "ok"},
		{"requests: 3/day", "quota 12h0m0s"},
		{"requests: 4/day", "ok"},
		{"requests: [4/day, 2/month]", "quota 60h0m0s"},
		{"", "ok"},
		{"concurrent: 1", "ok"},
	} {
		if got := begin(&l, key(parse(t, step.limits)), noon, limit.Use{}); got != step.want {
			t.Errorf("step %d, %s = %s, want %s", n+1, step.limits, got, step.want)
		}
	}
}

// TestPruneLosesNothing compares requests at random times with and without pruning between them.
func TestPruneLosesNothing(t *testing.T) {
	limits := parse(t, "requests: [3/1s, 10/1m, 30/day], concurrent: 2")
	for range 100 {
		var pruned, kept limit.Local
		now := noon
		for n := range 50 {
			now = now.Add(time.Duration(rand.Int64N(int64(time.Second) << rand.IntN(12))))
			pruned.Prune(now)
			got, want := begin(&pruned, key(limits), now, limit.Use{}), begin(&kept, key(limits), now, limit.Use{})
			if got != want {
				t.Fatalf("request %d at %s = %s, want %s as without pruning", n, now, got, want)
			}
		}
	}
}

// TestClientsAreBounded counts requests of more clients, and of more users, than are kept. Those with open requests are
// kept.
func TestClientsAreBounded(t *testing.T) {
	limits := parse(t, "concurrent: 1")
	t.Run("clients", func(t *testing.T) {
		testBounded(t, func(n int) []limit.Holder {
			return []limit.Holder{{Kind: limit.Client, ID: "x", Client: netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), Limits: limits}}
		})
	})
	t.Run("users", func(t *testing.T) {
		testBounded(t, func(n int) []limit.Holder {
			return []limit.Holder{{Kind: limit.User, ID: "x", User: fmt.Sprint(n), Limits: limits}}
		})
	})
}

func testBounded(t *testing.T, holder func(n int) []limit.Holder) {
	t.Helper()
	var l limit.Local
	var open [10]limit.Grant
	for n := range open {
		l.Begin(&open[n], holder(n), noon)
	}
	for n := len(open); n < limit.MaxClients+1000; n++ {
		if got := begin(&l, holder(n), noon, limit.Use{}); got != "ok" {
			t.Fatalf("client %d = %s, want ok", n, got)
		}
	}
	if got := l.Clients(); got != limit.MaxClients {
		t.Errorf("clients kept = %d, want %d", got, limit.MaxClients)
	}
	for n := range open {
		if got := begin(&l, holder(n), noon, limit.Use{}); got != "concurrent 1s" {
			t.Errorf("client %d with an open request = %s, want it refused", n, got)
		}
	}
}

// TestShares divides limits among gates. Together they let through what one gate would.
func TestShares(t *testing.T) {
	limits := parse(t, "requests: [10/1h, 100/day], concurrent: 4")
	for count := 1; count <= 4; count++ {
		open, burst := 0, 0
		for index := range count {
			var one, two limit.Local
			one.SetShare(limit.Share{Index: index, Count: count})
			two.SetShare(limit.Share{Index: index, Count: count})
			var g limit.Grant
			for one.Begin(&g, key(limits), noon).Refused.Reason == limit.None {
				open++
			}
			for begin(&two, key(limits), noon, limit.Use{}) == "ok" {
				burst++
			}
		}
		if open != 4 || burst != 10 {
			t.Errorf("%d gates let through %d at once and %d in a burst, want 4 and 10", count, open, burst)
		}
	}
}

// FuzzRate checks that no time window of any length lets through more requests than the rate allows, and that a request
// which waits as long as it was told to is let through.
func FuzzRate(f *testing.F) {
	f.Add(int64(2), int64(time.Second), []byte{0, 0, 0, 100, 255})
	f.Add(int64(7), int64(time.Minute), []byte{1, 2, 3})
	f.Add(int64(1000000), int64(time.Second), []byte{0, 0})
	f.Fuzz(func(t *testing.T, n, per int64, gaps []byte) {
		if n < 1 || per < 1 || per > int64(31*24*time.Hour) || per/n < 1000 || len(gaps) > 200 {
			t.Skip()
		}
		limits := &keystore.Limits{Rates: []keystore.Rate{{N: n, Per: time.Duration(per)}}}
		var l limit.Local
		now := noon
		var passed []time.Time
		for _, gap := range gaps {
			now = now.Add(time.Duration(int64(gap) * per / n / 64))
			var g limit.Grant
			v := l.Begin(&g, key(limits), now)
			if v.Refused.Reason == limit.None {
				passed = append(passed, now)
				continue
			}
			now = now.Add(v.Refused.RetryAfter)
			if v := l.Begin(&g, key(limits), now); v.Refused.Reason != limit.None {
				t.Fatalf("a request that waited as told is refused: %+v", v)
			}
			passed = append(passed, now)
		}
		for i := range passed {
			for j := i; j < len(passed); j++ {
				window := passed[j].Sub(passed[i])
				if most := n + int64(window)/(per/n); int64(j-i+1) > most {
					t.Fatalf("%d requests within %s, want at most %d of %d/%s", j-i+1, window, most, n, time.Duration(per))
				}
			}
		}
	})
}

// TestStandings checks how much is left of each limit.
func TestStandings(t *testing.T) {
	var l limit.Local
	limits := parse(t, "requests: [4/1s, 10/day], concurrent: 3, bytes: 1KiB/month, stream_seconds: 60/week, enforce: false")
	var g limit.Grant
	l.Begin(&g, key(limits), noon)
	begin(&l, key(limits), noon, limit.Use{Bytes: 24, Time: 1500 * ms})
	got := l.Standings(key(limits), noon.Add(100*ms))
	slices.SortFunc(got, func(a, b limit.Standing) int { return int(a.Reason) - int(b.Reason) })
	day := 24 * time.Hour
	want := []limit.Standing{
		{Reason: limit.Concurrent, Limit: "3", N: 3, Left: 2, Observed: true},
		{Reason: limit.Rate, Limit: "4/1s", N: 4, Left: 2, Window: time.Second, Reset: 150 * ms, Observed: true},
		{Reason: limit.Quota, Limit: "10/day", Unit: keystore.Requests, N: 10, Left: 8, Window: day, Reset: day/2 - 100*ms, Observed: true},
		{Reason: limit.Quota, Limit: "1KiB/month", Unit: keystore.Bytes, N: 1024, Left: 1000, Window: 30 * day, Reset: 2*day + day/2 - 100*ms, Observed: true},
		{Reason: limit.Quota, Limit: "60/week", Unit: keystore.StreamSeconds, N: 60, Left: 59, Window: 7 * day, Reset: day + day/2 - 100*ms, Observed: true},
	}
	sortQuotas := cmp.Transformer("sort", func(s []limit.Standing) map[string]limit.Standing {
		m := map[string]limit.Standing{}
		for _, s := range s {
			m[fmt.Sprint(s.Reason, s.Limit)] = s
		}
		return m
	})
	if diff := cmp.Diff(want, got, sortQuotas); diff != "" {
		t.Errorf("Standings (-want +got):\n%s", diff)
	}
}

func TestAllocations(t *testing.T) {
	var l limit.Local
	holders := []limit.Holder{
		{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: [1000000/1s, 100000/1h], concurrent: 4")},
		{Kind: limit.Chatflow, ID: "x", Limits: parse(t, "concurrent: 40")},
		{Kind: limit.Client, ID: "x", Client: netip.MustParseAddr("192.0.2.1"), Limits: parse(t, "requests: 1000000/1s")},
	}
	if n := testing.AllocsPerRun(1000, func() {
		var g limit.Grant
		l.Begin(&g, holders, noon)
		l.End(&g, limit.Use{})
	}); n != 0 {
		t.Errorf("allocations of a request = %v, want 0", n)
	}
}

func BenchmarkLocal(b *testing.B) {
	for _, bb := range []struct {
		name    string
		holders int
	}{{"key", 1}, {"key, chatflow and client", 3}} {
		b.Run(bb.name, func(b *testing.B) {
			var l limit.Local
			holders := []limit.Holder{
				{Kind: limit.Key, ID: "acme-web", Limits: parse(b, "requests: [1000000/1s, 10000000000/month], concurrent: 4")},
				{Kind: limit.Chatflow, ID: "3f1c2a9e-1111-4222-8333-444455556666", Limits: parse(b, "concurrent: 40")},
				{Kind: limit.Client, ID: "3f1c2a9e-1111-4222-8333-444455556666", Client: netip.MustParseAddr("192.0.2.1"), Limits: parse(b, "requests: 1000000/1s")},
			}[:bb.holders]
			now := noon
			for b.Loop() {
				var g limit.Grant
				now = now.Add(time.Millisecond)
				if l.Begin(&g, holders, now).Refused.Reason != limit.None {
					b.Fatal("refused")
				}
				l.End(&g, limit.Use{Bytes: 100, Time: time.Second})
			}
		})
	}
}
