package limit_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestRedisRest stops Redis when part of a quota is used up. Together, the gates let through what was left of it.
func TestRedisRest(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 3, r.Socket, limit.RedisOptions{Timeout: time.Second})
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 10/day")}}
	send := func(g *gate) bool {
		var grant limit.Grant
		v := g.Begin(&grant, holders, time.Now())
		g.End(&grant, limit.Use{})
		return v.Refused.Reason == limit.None
	}
	for _, g := range all {
		if !send(g) {
			t.Fatal("a request of the first three was refused")
		}
	}
	for _, g := range all {
		testkit.Eventually(t, "a gate hears of the others", func() bool {
			_, _ = g.Usage(t.Context(), time.Now())
			return g.Standings(holders, time.Now())[0].Left == 7
		})
	}
	r.Signal(t, syscall.SIGSTOP)
	admitted := 0
	for _, g := range all {
		g.awaitUp(t, false)
		for send(g) {
			admitted++
		}
	}
	r.Signal(t, syscall.SIGCONT)
	if admitted != 7 {
		t.Errorf("requests let through without Redis = %d, want the 7 that were left", admitted)
	}
}
