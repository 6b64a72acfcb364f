//go:build unix

package limit_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// BenchmarkRedis counts 64 requests at a time, in this process alone and by a Redis on a unix socket that another gate
// shares. The requests are of one key with three limits, or of 10,000 keys in turn, where the chatflow of each hundred
// keys and its only client have limits, too: six in all. It reports this process's CPU time for each request, and how
// many calls Redis received.
func BenchmarkRedis(b *testing.B) {
	one := [][]limit.Holder{{{Kind: limit.Key, ID: "acme-web", Limits: parse(b, "requests: [1000000/1s, 10000000000/month], concurrent: 1000")}}}
	for name, requests := range map[string][][]limit.Holder{"one key": one, "10,000 keys": manyKeys(b)} {
		b.Run(name+"/local", func(b *testing.B) {
			var l limit.Local
			benchmark(b, &l, requests)
		})
		b.Run(name+"/redis", func(b *testing.B) {
			r := testkit.StartRedis(b)
			all := gates(b, 2, r.Socket, patient)
			before := calls(b, r)
			benchmark(b, all[0].Redis, requests)
			b.ReportMetric(float64(calls(b, r)-before)/float64(b.N), "calls/op")
		})
	}
}

// manyKeys returns the holders of 10,000 requests, each with a key of its own.
func manyKeys(b *testing.B) [][]limit.Holder {
	wide := parse(b, "requests: 1000000/1s, concurrent: 100000")
	all := make([][]limit.Holder, 10_000)
	for n := range all {
		chatflow := fmt.Sprintf("%08x-1111-4222-8333-444455556666", n/100)
		all[n] = []limit.Holder{
			{Kind: limit.Key, ID: fmt.Sprintf("key-%05d", n), Limits: wide},
			{Kind: limit.Chatflow, ID: chatflow, Limits: wide},
			{Kind: limit.Client, ID: chatflow, Client: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Limits: wide},
		}
	}
	return all
}

type limiter interface {
	Begin(g *limit.Grant, holders []limit.Holder, now time.Time) limit.Verdict
	End(g *limit.Grant, u limit.Use)
}

// benchmark counts requests, taking the holders in turn.
func benchmark(b *testing.B, l limiter, requests [][]limit.Holder) {
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	var next atomic.Int64
	order := rand.Perm(len(requests))
	b.ResetTimer()
	before := processorTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var g limit.Grant
			holders := requests[order[int(next.Add(1))%len(order)]]
			if v := l.Begin(&g, holders, time.Now()); v.Refused.Reason != limit.None {
				b.Errorf("a request was refused: %s", word(v))
				return
			}
			l.End(&g, limit.Use{Bytes: 100, Time: time.Second})
		}
	})
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// processorTime returns how much CPU time this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// calls returns how many scripts a Redis has run.
func calls(b *testing.B, r *testkit.Redis) (n int) {
	b.Helper()
	c := client(b, r)
	defer c.Close()
	stats, err := redis.String(c.Do("INFO", "commandstats"))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(stats, "cmdstat_evalsha:calls=")
	rest, _, _ = strings.Cut(rest, ",")
	n, _ = strconv.Atoi(rest)
	return n
}
