package limit_test

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestRedisForgottenClient has a gate forget a client address right after its only request has ended. The place is still
// free for other gates.
func TestRedisForgottenClient(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 2, r.Socket, patient)
	for n := range byte(20) {
		holders := []limit.Holder{{Kind: limit.Client, ID: "x", Client: netip.AddrFrom4([4]byte{192, 0, 2, n}), Limits: parse(t, "concurrent: 1")}}
		var g limit.Grant
		if v := all[0].Begin(&g, holders, time.Now()); v.Refused.Reason != limit.None {
			t.Fatalf("request = %s, want ok", word(v))
		}
		all[0].End(&g, limit.Use{})
		all[0].Prune(time.Now())
		testkit.EventuallyWithin(t, 10*time.Second, "a free place for another gate", func() bool {
			v := all[1].Begin(&g, holders, time.Now())
			all[1].End(&g, limit.Use{})
			return v.Refused.Reason == limit.None
		})
	}
	testkit.Eventually(t, "clients forgotten once their ends are written", func() bool {
		all[0].Prune(time.Now())
		return all[0].Clients() == 0
	})
}

// TestRedisPlaceComesBack has two gates use one place in turn. Soon after a request ends, the place is free for the other
// gate.
func TestRedisPlaceComesBack(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 2, r.Socket, patient)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 1")}}
	var turns [40]time.Time
	shortest := time.Hour
	for n := range turns {
		var g limit.Grant
		testkit.Eventually(t, "a free place", func() bool { return all[n%2].Begin(&g, holders, time.Now()).Refused.Reason == limit.None })
		all[n%2].End(&g, limit.Use{})
		if turns[n] = time.Now(); n >= 2 {
			shortest = min(shortest, turns[n].Sub(turns[n-2]))
		}
	}
	if shortest > 40*time.Millisecond { // use is written only every 200 ms
		t.Errorf("shortest time of two turns = %s, want a few milliseconds", shortest)
	}
}

// TestRedisMonthEnds lets a month end before a request's use has been written. It still counts in that month.
func TestRedisMonthEnds(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	g := gates(t, 1, r.Socket, patient)[0]
	now := time.Now().UTC()
	end := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 10/day")}}
	for _, at := range []time.Time{end.Add(-2 * time.Second), end.Add(2 * time.Second)} {
		var grant limit.Grant
		g.Begin(&grant, holders, at)
		g.End(&grant, limit.Use{Bytes: 5})
	}
	var got []limit.Usage
	if !testkit.Poll(10*time.Second, func() bool {
		var err error
		if got, err = g.Usage(t.Context(), end.Add(4*time.Second)); err != nil {
			t.Fatal(err)
		}
		return len(got) == 2 && got[0].Requests == 1 && got[0].Bytes == 5 && got[1].Requests == 1 && got[1].Bytes == 5
	}) {
		t.Errorf("Usage after the end of the month = %+v, want one request of 5 bytes in each", got)
	}
}

// TestRedisPlaceComesBackAmongMany keeps a gate writing the use of thousands of keys to a Redis that replies slowly. A
// place is free for the other gate before all of that is written.
func TestRedisPlaceComesBackAmongMany(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	options := limit.RedisOptions{Timeout: 10 * time.Second, Lease: 9 * time.Second} // a third of it is less than writing everything takes
	all := []*gate{startGate(t, delayed(t, r, 1), options), startGate(t, r.Socket, options)}
	for _, g := range all {
		testkit.Eventually(t, "that each gate knows of both", func() bool { return g.Share().Count == 2 })
	}
	for n := range 3000 { // in 30 calls of 150 ms each
		var g limit.Grant
		all[0].Begin(&g, []limit.Holder{{Kind: limit.Key, ID: strconv.Itoa(n)}}, time.Now())
		all[0].End(&g, limit.Use{Bytes: 1})
	}
	testkit.Eventually(t, "that it writes", func() bool { return tell(t, r, "DBSIZE").(int64) > 100 })
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 1")}}
	var waits []time.Duration
	for range 3 {
		var g limit.Grant
		testkit.Eventually(t, "a place", func() bool { return all[0].Begin(&g, holders, time.Now()).Refused.Reason == limit.None })
		all[0].End(&g, limit.Use{})
		ended := time.Now()
		testkit.EventuallyWithin(t, 20*time.Second, "a free place", func() bool { return all[1].Begin(&g, holders, time.Now()).Refused.Reason == limit.None })
		waits = append(waits, time.Since(ended))
		all[1].End(&g, limit.Use{})
	}
	if slices.Sort(waits); waits[1] > time.Second {
		t.Errorf("times until a place was free = %s, want most of them well below the 4.5 s that all writing takes", waits)
	}
}
