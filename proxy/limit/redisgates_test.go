package limit_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// TestRedisEmptied empties a Redis while gates are at work. They notice at the next request, and apply limits by their
// own counts until all of them have written these again.
func TestRedisEmptied(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 2, r.Socket, patient)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 2, requests: 9/day")}}
	var open [2]limit.Grant
	for i := range open {
		if v := all[i].Begin(&open[i], holders, time.Now()); v.Refused.Reason != limit.None {
			t.Fatalf("request %d = %s, want ok", i+1, word(v))
		}
	}
	command(t, r, "FLUSHALL\r\n")
	for again := range 2 {
		for i, g := range all {
			var grant limit.Grant
			if got := word(g.Begin(&grant, holders, time.Now())); got != "concurrent" {
				t.Errorf("request to gate %d, look %d after Redis was emptied = %s, want it refused: two are open", i, again+1, got)
			}
			testkit.Eventually(t, "two changes told", func() bool { return g.changes.Load() == 3 && g.Up() })
		}
	}
	for i := range open {
		all[i].End(&open[i], limit.Use{})
	}
	exactQuota(t, all, []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 9/day")}}, 2)
}

// TestRedisManyStarts starts a gate again and again. What all its earlier starts counted is in one field.
func TestRedisManyStarts(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	options := limit.RedisOptions{Timeout: 10 * time.Second, Lease: 300 * time.Millisecond}
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 100/day")}}
	send := func(g *gate) {
		var grant limit.Grant
		if v := g.Begin(&grant, holders, time.Now()); v.Refused.Reason != limit.None {
			t.Errorf("request = %s, want ok", word(v))
		}
		g.End(&grant, limit.Use{})
	}
	const starts = 5
	for range starts {
		g := startGate(t, r.Socket, options)
		g.awaitUp(t, true)
		send(g)
		g.end()
	}
	g := startGate(t, r.Socket, options)
	g.awaitUp(t, true)
	send(g)
	testkit.EventuallyWithin(t, 10*time.Second, "fields of gates that are gone made one", func() bool { return fields(t, r, "*:day:requests:*") == 2 })
	exactQuota(t, []*gate{g}, holders, starts+1)
}

// TestRedisCutOff cuts one of two gates off from Redis for so long that its counts are merged with those of gates that
// are gone. When it is back, nothing is lost or counted twice.
func TestRedisCutOff(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	options := limit.RedisOptions{Timeout: 10 * time.Second, Lease: time.Second, Forget: time.Second}
	wire := newWire(t, r, 0)
	stays, leaves := startGate(t, r.Socket, options), startGate(t, wire.socket, options)
	all := []*gate{stays, leaves}
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 100/day")}}
	sent := int64(0)
	send := func(g *gate, n int) {
		for range n {
			var grant limit.Grant
			if v := g.Begin(&grant, holders, time.Now()); v.Refused.Reason != limit.None {
				t.Errorf("request = %s, want ok", word(v))
			}
			g.End(&grant, limit.Use{})
			sent++
		}
	}
	for _, g := range all {
		g.awaitUp(t, true)
		send(g, 2)
	}
	wire.cut()
	leaves.awaitUp(t, false)
	send(leaves, 3)
	testkit.EventuallyWithin(t, 20*time.Second, "the gate that was cut off counted as gone", func() bool {
		return fields(t, r, "*:day:requests:*") == 2 && leaves.Share().Count > 0 && hasField(t, r, "gone")
	})
	wire.mend(t)
	leaves.awaitUp(t, true)
	send(leaves, 1)
	exactQuota(t, all, holders, sent)
}

// client returns a connection to r that only this test uses.
func client(t testing.TB, r *testkit.Redis) redis.Conn {
	t.Helper()
	c, err := redis.Dial("unix", r.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// tell has r execute a command, given as words.
func tell(t testing.TB, r *testkit.Redis, words string) any {
	t.Helper()
	var arguments []any
	for _, w := range strings.Fields(words) {
		arguments = append(arguments, w)
	}
	reply, err := client(t, r).Do(arguments[0].(string), arguments[1:]...)
	if err != nil {
		t.Fatalf("%s: %v", words, err)
	}
	return reply
}

// fields returns how many fields the only hash whose key matches the pattern has.
func fields(t *testing.T, r *testkit.Redis, pattern string) int {
	t.Helper()
	return len(hash(t, r, pattern))
}

func hasField(t *testing.T, r *testkit.Redis, field string) bool {
	t.Helper()
	_, has := hash(t, r, "*:day:requests:*")[field]
	return has
}

func hash(t *testing.T, r *testkit.Redis, pattern string) map[string]string {
	t.Helper()
	c := client(t, r)
	defer c.Close()
	keys, err := redis.Strings(c.Do("KEYS", pattern))
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys like %s = %q, %v, want one", pattern, keys, err)
	}
	all, err := redis.StringMap(c.Do("HGETALL", keys[0]))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wire is a connection to a Redis that can be cut.
type wire struct {
	to, socket string
	begins     time.Duration // how long it takes until a connection carries anything
	mu         sync.Mutex
	listener   net.Listener
	conns      []net.Conn
}

func newWire(t *testing.T, r *testkit.Redis, begins time.Duration) *wire {
	t.Helper()
	w := &wire{to: r.Socket, socket: r.Socket + "-wire", begins: begins}
	w.mend(t)
	t.Cleanup(w.cut)
	return w
}

func (w *wire) mend(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.listener = l
	w.mu.Unlock()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", w.to)
			if err != nil {
				in.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()
			go func() {
				time.Sleep(w.begins) // the fault under test
				_, _ = io.Copy(out, in)
				out.Close()
			}()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listener.Close()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// TestRedisFull has a Redis that is full, then not, and so on. The gate takes longer each time before it counts by Redis
// again, so it does not change its mind all the time.
func TestRedisFull(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	g := startGate(t, r.Socket, patient)
	g.awaitUp(t, true)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 100/day")}}
	sent := int64(0)
	send := func() {
		var grant limit.Grant
		if v := g.Begin(&grant, holders, time.Now()); v.Refused.Reason != limit.None {
			t.Errorf("request = %s, want ok", word(v))
		}
		g.End(&grant, limit.Use{})
		sent++
	}
	var full time.Time
	for range 2 {
		command(t, r, "CONFIG SET maxmemory 1\r\n")
		full = time.Now()
		send()
		if g.Up() {
			t.Error("gate counts by a Redis that is full")
		}
		send()
		command(t, r, "CONFIG SET maxmemory 0\r\n")
		g.awaitUp(t, true)
		send()
	}
	if took := time.Since(full); took < time.Second {
		t.Errorf("the gate counts by a Redis that was full for the second time after %s, want a second", took)
	}
	if got := g.changes.Load(); got != 5 {
		t.Errorf("told of %d changes, want 5", got)
	}
	exactQuota(t, []*gate{g}, holders, sent)
}

// TestRedisRestartsOlder restarts Redis with older data, from before one of the gates was there. Nothing is lost.
func TestRedisRestartsOlder(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "requests: 100/day")}}
	sent := int64(0)
	var all []*gate
	for range 2 {
		g := startGate(t, r.Socket, patient)
		g.awaitUp(t, true)
		all = append(all, g)
		if len(all) == 1 {
			command(t, r, "SAVE\r\n")
		}
		for range 3 {
			var grant limit.Grant
			if v := g.Begin(&grant, holders, time.Now()); v.Refused.Reason != limit.None {
				t.Errorf("request = %s, want ok", word(v))
			}
			g.End(&grant, limit.Use{})
			sent++
		}
	}
	r.Kill()
	for _, g := range all {
		g.awaitUp(t, false)
	}
	r.Start(t)
	for _, g := range all {
		g.awaitUp(t, true)
	}
	exactQuota(t, all, holders, sent)
}
