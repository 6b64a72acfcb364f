//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/limit"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// decisions measures what deciding on a request costs, the digest of the token included. The keys are used in random order, so that with many of them nothing
// that is stored of a key is in a cache of the processor. The token is, as that of a request which was just read.
func (l *keyLab) decisions(context.Context) (table, error) {
	t := table{{"CPU of a decision", "measured"}}
	for _, count := range []int{fewKeys, manyKeys, len(l.keys.tokens)} {
		progress("decisions with %d keys", count)
		snapshot, err := l.parse("decide.json", l.keys.keyFile(count))
		if err != nil {
			return t, err
		}
		var text strings.Builder
		for _, k := range rand.Perm(count) {
			text.WriteString(l.keys.tokens[k] + chatflowOf(k))
		}
		asked, size, token, now := text.String(), text.Len()/count, len(l.keys.tokens[0]), time.Now()
		cpu, _, err := calls(func(n int) bool {
			q := asked[n%count*size:][:size]
			return proxy.Decide(snapshot, proxy.Question{Chatflow: q[token:], Bearer: route.Bearer{Token: q[:token], Present: true}}, now).Allowed
		})
		if err != nil {
			return t, err
		}
		limit := 500.0
		if count > manyKeys {
			limit = none // of a million keys, none is in a cache
		}
		t.judge(fmt.Sprintf("%d keys", count), cpu, limit, " ns")
	}
	return t, nil
}

// counting measures what counting a request against limits of its key, chatflow and client costs. The keys are used in random order.
func (l *keyLab) counting(context.Context) (table, error) {
	t := table{{"counting a request against its limits", "measured"}}
	for _, count := range []int{1, manyKeys} {
		progress("counting requests of %d keys", count)
		snapshot, err := l.limitedKeys()
		if err != nil {
			return t, err
		}
		var all []proxy.Decision
		for _, k := range rand.Perm(min(count, manyKeys-keysPerChatflow)) { // the last chatflow is used up
			all = append(all, l.decide(snapshot, k))
		}
		var counts limit.Local
		now := time.Now()
		cpu, allocations, err := calls(func(n int) bool {
			now = now.Add(time.Microsecond)
			return use(&counts, all[n%len(all)], now)
		})
		if err != nil {
			return t, err
		}
		t.judge(fmt.Sprintf("CPU, keys: %d", count), cpu, 300, " ns")
		t.judge(fmt.Sprintf("allocations, keys: %d", count), allocations, 0, "")
	}
	return t, nil
}

// use counts a request, and reports whether its limits let it in.
func use(counts *limit.Local, d proxy.Decision, now time.Time) bool {
	holders := [...]limit.Holder{
		{Kind: limit.Key, ID: d.Key.ID, Limits: d.Key.Limits},
		{Kind: limit.Chatflow, ID: d.Entry.ID, Limits: d.Entry.Limits},
		{Kind: limit.Client, ID: d.Entry.ID, Client: loopback, Limits: d.Entry.ClientLimits},
	}
	n := len(holders)
	if d.Entry.ClientLimits == nil {
		n--
	}
	var g limit.Grant
	v := counts.Begin(&g, holders[:n], now)
	counts.End(&g, limit.Use{Bytes: 100, Time: time.Second})
	return v.Refused.Reason == limit.None
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// memory measures what 10,000 keys and their chatflows take, with limits and without, once each key has been used: usage is
// counted for all of them.
func (l *keyLab) memory(context.Context) (table, error) {
	progress("memory of limits")
	t := table{{"heap of 10,000 keys", "measured"}}
	var loaded, used [2]float64
	for i, parse := range []func() (*keystore.Snapshot, error){
		func() (*keystore.Snapshot, error) { return l.parse("keys.yaml", l.keys.keyFile(manyKeys)) },
		l.limitedKeys,
	} {
		before := liveHeap()
		snapshot, err := parse()
		if err != nil {
			return t, err
		}
		loaded[i] = liveHeap() - before
		var counts limit.Local
		for k := range manyKeys {
			use(&counts, l.decide(snapshot, k), time.Now())
		}
		used[i] = liveHeap() - before
		runtime.KeepAlive(snapshot)
		runtime.KeepAlive(&counts)
	}
	t.readings([]reading{
		{"without limits", loaded[0], none, " MiB"},
		{"without limits, once each key was used", used[0], none, " MiB"},
		{"more with limits", loaded[1] - loaded[0], none, " MiB"},
		{"more with limits, once each key was used", used[1] - used[0], 2, " MiB"},
	})
	return t, nil
}

// limitedKeys returns the snapshot of 10,000 keys with limits.
func (l *keyLab) limitedKeys() (*keystore.Snapshot, error) {
	file := l.keys.keyFile(manyKeys)
	file.limit()
	return l.parse("limits.yaml", file)
}

// parse returns the snapshot of a key file.
func (l *keyLab) parse(name string, file keyFile) (*keystore.Snapshot, error) {
	path := filepath.Join(l.dir, name)
	if err := file.write(path); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return keystore.Parse(path, content)
}

// decide decides on a request with key k.
func (l *keyLab) decide(s *keystore.Snapshot, k int) proxy.Decision {
	return proxy.Decide(s, proxy.Question{Chatflow: chatflowOf(k), Bearer: route.Bearer{Token: l.keys.tokens[k], Present: true}}, time.Now())
}

// calls calls f, which reports whether all is well, ten times a million times, of which the first million does not count. It returns the CPU of a call in
// ns, and its allocations.
func calls(f func(n int) bool) (cpu, allocations spread, err error) {
	const count = 1_000_000
	var times, allocated []float64
	for turn := range 10 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := ownCPU() // and not the time, in which other programs run, too
		for n := range count {
			if !f(n) {
				return cpu, allocations, errors.New("a request that may pass is refused")
			}
		}
		took := ownCPU() - begin
		runtime.ReadMemStats(&after)
		if turn > 0 {
			times = append(times, float64(took.Nanoseconds())/count)
			allocated = append(allocated, math.Round(float64(after.Mallocs-before.Mallocs)/count))
		}
	}
	return spreadOf(times), spreadOf(allocated), nil
}

// liveHeap returns what is used of the heap, in MiB.
func liveHeap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}
