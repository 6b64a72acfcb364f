package limit_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestRedisLeave ends a gate right after something that no request has told Redis. It is counted all the same.
func TestRedisLeave(t *testing.T) {
	t.Parallel()
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 4/day")}}
	for _, tt := range []struct {
		name   string
		first  int // requests that Redis was told of
		before func(t *testing.T, r *testkit.Redis, g *gate)
		last   int // requests right before the gate ends
		want   [2]int64
	}{
		{"refused here", 4, func(*testing.T, *testkit.Redis, *gate) {}, 3, [2]int64{4, 3}},
		{"while it waits for others to write again", 0, func(t *testing.T, r *testkit.Redis, g *gate) {
			tell(t, r, "FLUSHALL")
			g.awaitUp(t, false)
			testkit.Eventually(t, "both gates noted again", func() bool { return tell(t, r, "HLEN fl:1:{fl}:gates").(int64) == 3 })
		}, 2, [2]int64{2, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := testkit.StartRedis(t)
			all := gates(t, 2, r.Socket, patient)
			send := func(n int) {
				for range n {
					var g limit.Grant
					all[0].Begin(&g, holders, time.Now())
					all[0].End(&g, limit.Use{})
				}
			}
			used := func() (n [2]int64) {
				all[1].awaitUp(t, true)
				got, err := all[1].Usage(t.Context(), time.Now())
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range got {
					n[0], n[1] = n[0]+u.Requests, n[1]+u.Refused
				}
				return n
			}
			send(tt.first)
			testkit.Eventually(t, "the first requests in Redis", func() bool { return used() == [2]int64{int64(tt.first), 0} })
			tt.before(t, r, all[0])
			send(tt.last)
			all[0].end()
			if got := used(); got != tt.want {
				t.Errorf("requests and refusals that another gate knows of = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestRedisPause has one gate that stays away from Redis, because Redis has failed again and again, and one that has just
// started. The second soon knows what the first has open.
func TestRedisPause(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	options := limit.RedisOptions{Timeout: 10 * time.Second, Lease: time.Hour, Fallback: limit.Whole} // so that no renewal reports it
	away := startGate(t, r.Socket, options)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 2")}}
	failures := 3 // the last pause lasts 2 s
	if testkit.Long() {
		failures = 4 // 4 s, for a busy machine
	}
	for range failures {
		away.awaitUp(t, true)
		tell(t, r, "CONFIG SET maxmemory 1")
		away.awaitUp(t, false)
		tell(t, r, "CONFIG SET maxmemory 0")
	}
	var open [2]limit.Grant
	for i := range open {
		if v := away.Begin(&open[i], holders, time.Now()); v.Refused.Reason != limit.None {
			t.Fatalf("request %d = %s, want ok", i+1, word(v))
		}
	}
	starts := startGate(t, r.Socket, patient)
	starts.awaitUp(t, true)
	testkit.Eventually(t, "requests refused by the gate that counts", func() bool {
		var g limit.Grant
		v := starts.Begin(&g, holders, time.Now())
		starts.End(&g, limit.Use{})
		return v.Refused.Reason == limit.Concurrent
	})
	if away.Up() {
		t.Error("refused only when the other gate counted by Redis again, want it in its pause")
	}
}

// TestRedisAwayForLong has clients come and go while Redis is gone. Those that were forgotten take no memory until it is
// back.
func TestRedisAwayForLong(t *testing.T) { // not in parallel: it measures memory
	r := testkit.StartRedis(t)
	g := startGate(t, r.Socket, limit.RedisOptions{Lease: 90 * time.Millisecond})
	g.awaitUp(t, true)
	r.Kill()
	g.awaitUp(t, false)
	limits := parse(t, "concurrent: 1")
	const atOnce = 5000
	before := heap()
	for round := range 12 {
		grants := make([]limit.Grant, atOnce)
		for n := range grants {
			address := netip.AddrFrom4([4]byte{10, byte(round), byte(n >> 8), byte(n)})
			g.Begin(&grants[n], []limit.Holder{{Kind: limit.Client, ID: "x", Client: address, Limits: limits}}, time.Now())
		}
		time.Sleep(50 * time.Millisecond) // leases are renewed meanwhile
		for n := range grants {
			g.End(&grants[n], limit.Use{})
		}
		testkit.Eventually(t, "clients forgotten", func() bool { g.Prune(time.Now()); return g.Clients() == 0 })
	}
	testkit.EventuallyWithin(t, 5*time.Second, "memory of clients given back", func() bool { return heap() < before+4*atOnce*500 })
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
