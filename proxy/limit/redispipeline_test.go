package limit_test

import (
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestRedisSilent replaces Redis by a server that accepts connections and says nothing. While the gate tries to log in
// there, no request waits for that.
func TestRedisSilent(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	g := startGate(t, r.Socket, limit.RedisOptions{})
	g.awaitUp(t, true)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 1000000000/month")}}
	r.Kill()
	_ = os.Remove(r.Socket)
	l, err := net.Listen("unix", r.Socket)
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			accepted.Add(1)
		}
	})
	var took []time.Duration
	testkit.Poll(10*time.Second, func() bool {
		var grant limit.Grant
		start := time.Now()
		g.Begin(&grant, holders, start)
		took = append(took, time.Since(start))
		g.End(&grant, limit.Use{})
		return !g.Up() && accepted.Load() >= 2
	})
	l.Close()
	wg.Wait()
	slices.Sort(took)
	if half := took[len(took)/2]; g.Up() || accepted.Load() < 2 || half > 200*time.Millisecond { // few, if requests waited for a connection
		t.Errorf("median wait of a request = %s, with %d connections to a silent server, up: %v; want about none, two, false", half, accepted.Load(), g.Up())
	}
	r.Start(t)
	g.awaitUp(t, true)
}

// TestRedisAnotherConnection has a Redis that goes on, but not for this connection: it forgets its scripts, becomes a
// replica, or closes connections. The gate counts by it again, and nothing is lost.
func TestRedisAnotherConnection(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, command, undo string }{
		{"scripts forgotten", "SCRIPT FLUSH", ""},
		{"a replica", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"},
		{"connections closed", "CLIENT KILL TYPE normal SKIPME yes", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := testkit.StartRedis(t)
			all := gates(t, 2, r.Socket, patient)
			holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 1000000/day")}}
			sent := int64(0)
			send := func() {
				for _, g := range all {
					var grant limit.Grant
					if v := g.Begin(&grant, holders, time.Now()); v.Refused.Reason != limit.None {
						t.Errorf("request = %s, want ok", word(v))
					}
					g.End(&grant, limit.Use{})
					sent++
				}
			}
			send()
			tell(t, r, tt.command)
			send()
			if tt.undo != "" {
				for _, g := range all {
					g.awaitUp(t, false)
				}
				tell(t, r, tt.undo)
			}
			send()
			for _, g := range all {
				g.awaitUp(t, true)
			}
			exactQuota(t, all, holders, sent)
		})
	}
}
