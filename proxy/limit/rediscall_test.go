package limit_test

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestRedisDeadline sends a Redis that hangs far more requests than a connection has room for. None waits much longer
// than it may.
func TestRedisDeadline(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	g := startGate(t, r.Socket, limit.RedisOptions{})
	g.awaitUp(t, true)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 1000000000/month")}}
	r.Signal(t, syscall.SIGSTOP)
	var longest atomic.Int64
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			for g.Up() {
				var grant limit.Grant
				begun := time.Now()
				g.Begin(&grant, holders, begun)
				took := int64(time.Since(begun))
				for was := longest.Load(); took > was && !longest.CompareAndSwap(was, took); was = longest.Load() {
				}
				g.End(&grant, limit.Use{})
			}
		})
	}
	wg.Wait()
	r.Signal(t, syscall.SIGCONT)
	if got := time.Duration(longest.Load()); got > 800*time.Millisecond {
		t.Errorf("longest wait of a request for a Redis that hangs = %s, want about 25ms", got)
	}
}

// TestRedisLate has Redis reply to one request too late. The request is refused, and the limit says why, since none was
// exceeded.
func TestRedisLate(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	g := startGate(t, r.Socket, limit.RedisOptions{})
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 4")}}
	var v limit.Verdict
	for range 100 { // on a busy machine, the gate may give up Redis first
		g.awaitUp(t, true)
		r.Signal(t, syscall.SIGSTOP)
		var grant limit.Grant
		v = g.Begin(&grant, holders, time.Now())
		g.End(&grant, limit.Use{})
		r.Signal(t, syscall.SIGCONT)
		if v.Refused.Reason != limit.None {
			break
		}
	}
	if got, want := v.Refused.Limit, "4 while Redis answers too late"; v.Refused.Reason != limit.Concurrent || got != want {
		t.Errorf("verdict = %s with the limit %q, want it refused for %q", word(v), got, want)
	}
}

// TestRedisRank sends eight requests at once to a gate that has one free place, because another gate has taken the rest.
// One of them gets it.
func TestRedisRank(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 2, r.Socket, patient)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 10")}}
	for range 9 {
		if v := all[1].Begin(new(limit.Grant), holders, time.Now()); v.Refused.Reason != limit.None {
			t.Fatalf("request to the other gate = %s, want ok", word(v))
		}
	}
	for round := range 200 {
		var grants [64]limit.Grant
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for i := range grants {
			wg.Go(func() {
				if all[0].Begin(&grants[i], holders, time.Now()).Refused.Reason == limit.None {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		for i := range grants {
			all[0].End(&grants[i], limit.Use{})
		}
		if got := admitted.Load(); got != 1 {
			t.Fatalf("round %d: requests let in where one place was free = %d, want 1", round+1, got)
		}
	}
}

// TestRedisSlowToConnect takes longer to connect to Redis than a request may wait, as over TLS from afar. The gate
// connects all the same, and again after the connection was cut.
func TestRedisSlowToConnect(t *testing.T) {
	t.Parallel()
	w := newWire(t, testkit.StartRedis(t), 60*time.Millisecond)
	g := startGate(t, w.socket, limit.RedisOptions{})
	g.awaitUp(t, true)
	w.cut()
	g.awaitUp(t, false)
	w.mend(t)
	testkit.EventuallyWithin(t, 20*time.Second, "that Redis answers", g.Up)
}
