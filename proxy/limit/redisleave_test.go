package limit_test

import (
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestRedisLeave has a gate end right after what no request has told Redis of: it is counted all the same.
func TestRedisLeave(t *testing.T) {
	t.Parallel()
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 4/day")}}
	for _, tt := range []struct {
		name   string
		first  int // requests that Redis knows of
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
