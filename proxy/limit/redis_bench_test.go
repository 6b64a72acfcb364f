//go:build unix

package limit_test

import (
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// BenchmarkRedis has 64 requests at a time with three limits, counted here alone and by a Redis on a unix socket that
// another gate shares. It reports the time that this process had of a processor for each request, and how many calls Redis
// had.
func BenchmarkRedis(b *testing.B) {
	holders := []limit.Holder{{Kind: limit.Key, ID: "acme-web", Limits: parse(b, "requests: [1000000/1s, 10000000000/month], concurrent: 1000")}}
	b.Run("local", func(b *testing.B) {
		var l limit.Local
		benchmark(b, &l, holders)
	})
	b.Run("redis", func(b *testing.B) {
		r := testkit.StartRedis(b)
		all := gates(b, 2, r.Socket, patient)
		before := calls(b, r)
		benchmark(b, all[0].Redis, holders)
		b.ReportMetric(float64(calls(b, r)-before)/float64(b.N), "calls/op")
	})
}

type limiter interface {
	Begin(g *limit.Grant, holders []limit.Holder, now time.Time) limit.Verdict
	End(g *limit.Grant, u limit.Use)
}

func benchmark(b *testing.B, l limiter, holders []limit.Holder) {
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	before := processorTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var g limit.Grant
			if v := l.Begin(&g, holders, time.Now()); v.Refused.Reason != limit.None {
				b.Errorf("a request was refused: %s", word(v))
				return
			}
			l.End(&g, limit.Use{Bytes: 100, Time: time.Second})
		}
	})
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// processorTime returns for how long this process had a processor.
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
