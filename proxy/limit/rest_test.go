package limit_test

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestClientsAreForgotten: a client address whose rate is full again and that has nothing open is forgotten, without
// waiting for the month to end.
func TestClientsAreForgotten(t *testing.T) {
	var l limit.Local
	holders := []limit.Holder{{Kind: limit.Client, ID: "x", Client: netip.MustParseAddr("192.0.2.1"), Limits: parse(t, "requests: 2/1m, concurrent: 1")}}
	var g limit.Grant
	l.Begin(&g, holders, noon)
	for _, tt := range []struct {
		after time.Duration
		end   bool
		want  int
	}{{0, false, 1}, {time.Hour, false, 1}, {time.Hour, true, 0}} {
		if tt.end {
			l.End(&g, limit.Use{})
		}
		l.Prune(noon.Add(tt.after))
		if got := l.Clients(); got != tt.want {
			t.Errorf("clients after %s, ended: %t = %d, want %d", tt.after, tt.end, got, tt.want)
		}
	}
}

// TestRedisThatRefuses has a Redis that accepts connections and refuses every command. Changed is called once, to say
// that the fallback applies.
func TestRedisThatRefuses(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	command(t, r, "CONFIG SET min-replicas-to-write 1\r\n") // it refuses to write
	g := startGate(t, r.Socket, limit.RedisOptions{})
	testkit.Eventually(t, "word that Redis does not answer", func() bool { return g.changes.Load() == 1 })
	command(t, r, "CONFIG SET min-replicas-to-write 0\r\n")
	g.awaitUp(t, true)
	testkit.Eventually(t, "word that it does", func() bool { return g.changes.Load() == 2 })
}

// command sends a command to a Redis.
func command(t *testing.T, r *testkit.Redis, line string) {
	t.Helper()
	c, err := net.Dial("unix", r.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	if reply, err := bufio.NewReader(c).ReadString('\n'); err != nil || reply != "+OK\r\n" {
		t.Fatalf("%s = %q, %v, want OK", line, reply, err)
	}
}
