package limit_test

import (
	"context"
	crand "crypto/rand"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// gate is a running limit.Redis.
type gate struct {
	*limit.Redis
	end     func() // ends it, and waits until it has ended
	changes atomic.Int64
	told    atomic.Pointer[error] // the last error, or nil, that Changed was called with
}

func startGate(t testing.TB, socket string, options limit.RedisOptions) *gate {
	t.Helper()
	return runGate(t, parseURL(t, "unix://"+socket), options)
}

func parseURL(t testing.TB, url string) *limit.RedisURL {
	t.Helper()
	u, err := limit.ParseRedisURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func runGate(t testing.TB, url *limit.RedisURL, options limit.RedisOptions) *gate {
	t.Helper()
	g := &gate{}
	options.Changed = func(err error) {
		g.told.Store(&err)
		g.changes.Add(1)
	}
	g.Redis = limit.NewRedis(options)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); g.Run(ctx, url) }()
	g.end = func() { stop(); <-done }
	t.Cleanup(g.end)
	return g
}

func (g *gate) awaitUp(t testing.TB, up bool) {
	t.Helper()
	testkit.Eventually(t, "that Redis answers", func() bool { return g.Up() == up })
}

// gates starts n gates that know of each other.
func gates(t testing.TB, n int, socket string, options limit.RedisOptions) (all []*gate) {
	t.Helper()
	for range n {
		g := startGate(t, socket, options)
		g.awaitUp(t, true)
		all = append(all, g)
	}
	for _, g := range all {
		testkit.Eventually(t, "that each gate knows of all", func() bool { return g.Share().Count == n })
	}
	return all
}

// patient has a timeout for tests of what Redis counts, on a machine that may be busy.
var patient = limit.RedisOptions{Timeout: 10 * time.Second}

// TestRedisCountsForAll sends requests with one key to three gates. What one gate has counted is used up at the others.
func TestRedisCountsForAll(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 3, r.Socket, patient)
	for _, tt := range []struct {
		limits string
		use    limit.Use
		want   []string // of requests to each gate in turn, which end at once
	}{
		{"requests: 4/1h", limit.Use{}, words("ok", "ok", "ok", "ok", "rate", "rate", "rate", "rate")},
		{"requests: 4/day", limit.Use{}, words("ok", "ok", "ok", "ok", "quota", "quota", "quota", "quota")},
		{"requests: 2/day, enforce: false", limit.Use{}, words("ok", "ok", "observed quota", "observed quota", "observed quota")},
		{"requests: [4/1h, 100/day], concurrent: 9", limit.Use{}, words("ok", "ok", "ok", "ok", "rate", "rate")},
	} {
		id := crand.Text()
		holders := []limit.Holder{{Kind: limit.Key, ID: id, Limits: parse(t, tt.limits)}}
		for n, want := range tt.want {
			var g limit.Grant
			v := all[n%3].Begin(&g, holders, time.Now())
			all[n%3].End(&g, tt.use)
			if got := word(v); got != want {
				t.Errorf("%s: request %d, to gate %d = %s, want %s", tt.limits, n+1, n%3, got, want)
			}
		}
	}
}

// word is verdict without the wait.
func word(v limit.Verdict) string {
	v.Refused.RetryAfter = 0
	s := verdict(v)
	if v.Refused.Reason != limit.None {
		s = s[:len(s)-len(" 0s")]
	}
	return s
}

// TestRedisConcurrent sends requests from many goroutines with one key to three gates, also when a tenth of Redis's replies
// come too late. The key never has more requests at the upstream than it may, and the quota is exact in the end.
func TestRedisConcurrent(t *testing.T) {
	t.Parallel()
	rounds := 10
	if testkit.Long() {
		rounds = 200
	}
	for name, late := range map[string]int{"in time": 0, "a tenth too late": 10} {
		options := patient
		if late > 0 {
			options = limit.RedisOptions{Timeout: 100 * time.Millisecond}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := gates(t, 3, delayed(t, testkit.StartRedis(t), late), options)
			holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 7, requests: 1000000/month")}}
			var open, admitted, refused atomic.Int64
			var wg sync.WaitGroup
			begun := time.Now()
			for n := range 30 {
				wg.Go(func() {
					gate := all[n%3]
					for round := 0; round < rounds || admitted.Load() == 0 && time.Since(begun) < 30*time.Second; round++ { // at first, all may be late
						var g limit.Grant
						if gate.Begin(&g, holders, time.Now()).Refused.Reason != limit.None {
							time.Sleep(time.Millisecond) // as a client would; without it, Redis gets no CPU time
							refused.Add(1)
							continue
						}
						admitted.Add(1)
						if got := open.Add(1); got > 7 {
							t.Errorf("%d at once, want at most 7", got)
						}
						open.Add(-1)
						gate.End(&g, limit.Use{})
					}
				})
			}
			wg.Wait()
			if admitted.Load() == 0 || refused.Load() == 0 {
				t.Errorf("admitted %d, refused %d, want both", admitted.Load(), refused.Load())
			}
			exactQuota(t, all, holders, admitted.Load())
		})
	}
}

// TestRedisPlaceless: a request that takes no place is let through when all places are taken. It counts against other
// limits, and frees no place when it ends.
func TestRedisPlaceless(t *testing.T) {
	t.Parallel()
	all := gates(t, 2, testkit.StartRedis(t).Socket, patient)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 1, requests: 4/1h")}}
	var first limit.Grant
	begin := func(gate int, g *limit.Grant, want string) {
		t.Helper()
		if got := word(all[gate].Begin(g, holders, time.Now())); got != want {
			t.Errorf("at gate %d = %s, want %s", gate, got, want)
		}
	}
	begin(0, &first, "ok")
	placeless := func(gate int, want string) {
		t.Helper()
		g := limit.Grant{Placeless: true}
		begin(gate, &g, want)
		all[gate].End(&g, limit.Use{})
		begin(0, &limit.Grant{}, "concurrent")
	}
	placeless(0, "ok")
	placeless(1, "ok")
	begin(1, &limit.Grant{}, "concurrent")
	placeless(0, "ok")
	placeless(1, "rate")
	all[0].End(&first, limit.Use{})
}

// delayed returns the address of a proxy for r whose connections pause after every n-th reply, for longer than a request
// may wait. If n is zero, it is the address of r.
func delayed(t *testing.T, r *testkit.Redis, n int) (socket string) {
	t.Helper()
	if n == 0 {
		return r.Socket
	}
	socket = r.Socket + "-delayed"
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", r.Socket)
			if err != nil {
				in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			go func() {
				defer in.Close()
				b := make([]byte, 4096)
				for i := 1; ; i++ {
					got, err := out.Read(b)
					if i%n == 0 {
						time.Sleep(150 * time.Millisecond) // the fault under test
					}
					if _, werr := in.Write(b[:got]); err != nil || werr != nil {
						return
					}
				}
			}()
		}
	}()
	return socket
}

// TestRedisLease cuts off a gate that has requests open. Their places are free again after its lease.
func TestRedisLease(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	w := newWire(t, r, 0)
	options := limit.RedisOptions{Lease: time.Second, Timeout: 10 * time.Second}
	all := []*gate{startGate(t, w.socket, options), startGate(t, r.Socket, options)}
	for _, g := range all {
		testkit.Eventually(t, "that each gate knows of both", func() bool { return g.Share().Count == 2 })
	}
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 2")}}
	var g [2]limit.Grant
	for i := range g {
		if v := all[0].Begin(&g[i], holders, time.Now()); v.Refused.Reason != limit.None {
			t.Fatalf("request %d = %s, want ok", i+1, word(v))
		}
	}
	var other limit.Grant
	if got := word(all[1].Begin(&other, holders, time.Now())); got != "concurrent" {
		t.Errorf("request to the other gate = %s, want it refused", got)
	}
	w.cut()
	testkit.Eventually(t, "free places of the gate that is gone", func() bool {
		v := all[1].Begin(&other, holders, time.Now())
		all[1].End(&other, limit.Use{})
		return v.Refused.Reason == limit.None
	})
	testkit.Eventually(t, "one gate known", func() bool { return all[1].Share() == limit.Share{Index: 0, Count: 1} })
}

// exactQuota checks that each gate knows exactly how many requests there were.
func exactQuota(t *testing.T, all []*gate, holders []limit.Holder, requests int64) {
	t.Helper()
	for i, g := range all {
		var used int64
		if !testkit.Poll(10*time.Second, func() bool {
			var grant limit.Grant // one more request, whose reply includes those to other gates
			if v := g.Begin(&grant, holders, time.Now()); v.Refused.Reason == limit.None {
				requests++
			}
			g.End(&grant, limit.Use{})
			for _, s := range g.Standings(holders, time.Now()) {
				if s.Reason == limit.Quota {
					used = s.N - s.Left
				}
			}
			return used == requests
		}) {
			t.Errorf("used of the quota, as gate %d knows = %d, want %d", i, used, requests)
		}
	}
}

// TestRedisHangs stops Redis while gates are at work. No request waits longer than it may, Changed is called once when
// Redis is gone and once when it is back, and what is counted meanwhile is not lost.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 2, r.Socket, limit.RedisOptions{Timeout: 250 * time.Millisecond}) // long enough for Redis even if it has to wait for the CPU
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 5, requests: 1000/month")}}
	count := 0
	send := func(g *gate) string {
		var grant limit.Grant
		v := g.Begin(&grant, holders, time.Now())
		if v.Refused.Reason == limit.None {
			count++
		}
		g.End(&grant, limit.Use{})
		return word(v)
	}
	for _, g := range all {
		send(g)
	}
	r.Signal(t, syscall.SIGSTOP)
	for _, g := range all {
		testkit.Eventually(t, "notice that Redis hangs", func() bool { send(g); return !g.Up() })
		if got := send(g); got != "ok" {
			t.Errorf("request while Redis hangs = %s, want ok", got)
		}
		var open [6]limit.Grant
		n := 0
		for i := range open {
			if g.Begin(&open[i], holders, time.Now()).Refused.Reason == limit.None {
				count++
				n++
			}
		}
		if want := map[int]int{0: 3, 1: 2}[g.Share().Index]; n != want {
			t.Errorf("at once at gate %d of 2 while Redis hangs = %d, want its share of 5, %d", g.Share().Index, n, want)
		}
		for i := range open {
			g.End(&open[i], limit.Use{})
		}
	}
	r.Signal(t, syscall.SIGCONT)
	for _, g := range all {
		g.awaitUp(t, true)
	}
	exactQuota(t, all, holders, int64(count))
	for i, g := range all {
		if got := g.changes.Load(); got != 3 {
			t.Errorf("gate %d was told of %d changes, want 3: up, down, up", i, got)
		}
	}
}

// TestRedisRestartsEmpty kills Redis and starts another one. Limits apply again, by the gates' own counts.
func TestRedisRestartsEmpty(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 2, r.Socket, patient)
	holders := []limit.Holder{{Kind: limit.Key, ID: "a", Limits: parse(t, "concurrent: 3, requests: 5/day")}}
	var open [3]limit.Grant
	for i := range open {
		if v := all[i%2].Begin(&open[i], holders, time.Now()); v.Refused.Reason != limit.None {
			t.Fatalf("request %d = %s, want ok", i+1, word(v))
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
	var g limit.Grant
	for i, gate := range all {
		if got := word(gate.Begin(&g, holders, time.Now())); got != "concurrent" {
			t.Errorf("request to gate %d after Redis restarted = %s, want it refused: three are open", i, got)
		}
	}
	for i := range open {
		all[i%2].End(&open[i], limit.Use{})
	}
	testkit.Eventually(t, "room after all have ended", func() bool {
		v := all[0].Begin(&g, holders, time.Now())
		all[0].End(&g, limit.Use{})
		return v.Refused.Reason == limit.None
	})
	all[1].Begin(&g, holders, time.Now())
	all[1].End(&g, limit.Use{})
	if got := word(all[1].Begin(&g, holders, time.Now())); got != "quota" {
		t.Errorf("sixth request of the day = %s, want the quota used up", got)
	}
}

// TestRedisIsAway starts gates before Redis. They decide by the fallback, and by Redis once it is there.
func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	for fallback, want := range map[limit.Fallback]string{limit.Split: "ok", limit.Whole: "ok", limit.Closed: "rate"} {
		r := testkit.StartRedis(t)
		r.Kill()
		g := startGate(t, r.Socket, limit.RedisOptions{Fallback: fallback})
		for _, limits := range []struct {
			*keystore.Limits
			want string
		}{{parse(t, "concurrent: 1"), want}, {parse(t, "concurrent: 1, enforce: false"), "ok"}, {nil, "ok"}} {
			var grant limit.Grant
			v := g.Begin(&grant, []limit.Holder{{Kind: limit.Key, ID: "a", Limits: limits.Limits}}, time.Now())
			g.End(&grant, limit.Use{})
			if got := word(v); got != limits.want {
				t.Errorf("fallback %d, limits %s: request without Redis = %s, want %s", fallback, limits, got, limits.want)
			}
		}
		r.Start(t)
		g.awaitUp(t, true)
	}
}

// TestRedisUsers counts users of a key at two gates. Both count each user, separately from the key's other users and from
// those of other keys, and no user shows up as usage.
func TestRedisUsers(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 2, r.Socket, patient)
	limits := parse(t, "requests: 9/1h, concurrent: 2")
	for n, step := range []struct {
		gate      int
		key, user string
		want      limit.Reason
	}{
		{0, "a", "0123456789abcdef", limit.None},
		{1, "a", "0123456789abcdef", limit.None},
		{0, "a", "0123456789abcdef", limit.Concurrent},
		{1, "a", "0123456789abcdef", limit.Concurrent},
		{1, "a", "0000000000000000", limit.None},
		{1, "b", "0123456789abcdef", limit.None},
	} {
		var g limit.Grant
		v := all[step.gate].Begin(&g, []limit.Holder{{Kind: limit.User, ID: step.key, User: step.user, Limits: limits}}, time.Now())
		if v.Refused.Reason != step.want {
			t.Errorf("request %d = %+v, want the reason %d", n+1, v, step.want)
		}
	}
	if got, err := all[0].Usage(t.Context(), time.Now()); err != nil || len(got) > 0 {
		t.Errorf("Usage = %v, %v, want none of users", got, err)
	}
}

// TestRedisUsage sends requests to two gates. Each reports all of them.
func TestRedisUsage(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	all := gates(t, 2, r.Socket, patient)
	limits := parse(t, "requests: 3/1h")
	for n := range 5 {
		var g limit.Grant
		gate := all[n%2]
		gate.Begin(&g, []limit.Holder{{Kind: limit.Key, ID: "a", Limits: limits}, {Kind: limit.Chatflow, ID: "x"}}, time.Now())
		gate.End(&g, limit.Use{Bytes: 10, Time: time.Second})
	}
	start := time.Now().UTC().Format("2006-01") + "-01"
	want := []limit.Usage{
		{Kind: "key", ID: "a", Period: "month", Start: start, Requests: 3, Refused: 2, StreamMillis: 3000, Bytes: 30},
		{Kind: "chatflow", ID: "x", Period: "month", Start: start, Requests: 3, Refused: 2, StreamMillis: 3000, Bytes: 30},
	}
	for i, g := range all {
		var got []limit.Usage
		if !testkit.Poll(testkit.Timeout, func() bool {
			var err error
			if got, err = g.Usage(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			return cmp.Equal(want, got)
		}) {
			t.Errorf("Usage of gate %d (-want +got):\n%s", i, cmp.Diff(want, got))
		}
	}
}
