package limit_test

import (
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestRedisSmallCalls has many requests at once after large calls, which wrote what many keys have used: requests do not
// keep the memory of those in use.
func TestRedisSmallCalls(t *testing.T) { // not in parallel: it measures memory
	r := testkit.StartRedis(t)
	g := startGate(t, r.Socket, patient)
	g.awaitUp(t, true)
	atOnce := func(do func()) {
		var wg sync.WaitGroup
		r.Signal(t, syscall.SIGSTOP)
		for range 200 {
			wg.Go(do)
		}
		time.Sleep(100 * time.Millisecond) // so that all wait for Redis
		r.Signal(t, syscall.SIGCONT)
		wg.Wait()
	}
	send := func(key string) {
		var grant limit.Grant
		g.Begin(&grant, []limit.Holder{{Kind: limit.Key, ID: key, Limits: parse(t, "concurrent: 1000, requests: [1000/day, 1000/week]")}}, time.Now())
		g.End(&grant, limit.Use{})
	}
	for n := range 90 {
		send(strconv.Itoa(n))
	}
	requests := func() { atOnce(func() { send("a") }) }
	requests()
	before := heap()
	atOnce(func() { _, _ = g.Usage(t.Context(), time.Now()) }) // which writes all
	var after uint64
	for range 4 {
		requests()
		after = heap()
	}
	if after > before+2<<20 {
		t.Errorf("memory in use = %d KiB, %d KiB before large calls, want about the same", after>>10, before>>10)
	}
}
