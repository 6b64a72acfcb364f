//go:build bench

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	maxSwap     = 5 * time.Second
	maxResident = 400.0 // MiB
)

// swapRun is what one swap of key files led to. Memory is in MiB.
type swapRun struct {
	took                                          time.Duration // from the rename until the metrics tell all keys
	before, during, after                         summary
	small, peak, loaded, atRest, underLoad, worst float64
	scrape                                        time.Duration // of the metrics, with all keys
	gate, others                                  time.Duration // processor time while took
}

// swaps measures how a large key file takes the place of a small one.
func swaps(ctx context.Context, f *fixture, s scale, dir string) (table, error) {
	t := table{title: fmt.Sprintf("10 keys to %s over %s chatflows, %d requests/s", count(s.keys), grouped((s.keys+perChatflow-1)/perChatflow), s.rate)}
	binary, err := build(ctx, dir, false)
	if err != nil {
		return t, err
	}
	large := filepath.Join(dir, "large.yaml")
	if err := f.writeFile(large, s.keys); err != nil {
		return t, err
	}
	info, err := os.Stat(large)
	if err != nil {
		return t, err
	}
	t.add("size of the key file", "", "%.0f MiB", float64(info.Size())/(1<<20))
	var runs []swapRun
	for i := range s.swaps {
		progress("swap %d of %d", i+1, s.swaps)
		r, err := swap(ctx, f, s, dir, binary, large)
		if err != nil {
			return t, err
		}
		runs = append(runs, r)
	}
	return t, report(&t, runs)
}

func swap(ctx context.Context, f *fixture, s scale, dir, binary, large string) (r swapRun, err error) {
	dir, err = os.MkdirTemp(dir, "swap-")
	if err != nil {
		return r, err
	}
	keys, next := filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "next")
	if err := f.writeFile(keys, 10); err != nil {
		return r, err
	}
	if err := os.Link(large, next); err != nil { // written long ago: what is measured is the gate, not the disk
		return r, err
	}
	upstream, err := startRunner()
	if err != nil {
		return r, err
	}
	defer upstream.close()
	g, err := startGate(ctx, binary, keys, upstream.url)
	if err != nil {
		return r, err
	}
	defer g.kill()

	var targets []target
	for i := range 10 { // which are in both files
		targets = append(targets, target{chatflowOf(i), string(f.token(i))})
	}
	l := startLoad(g.url, s.rate, targets)
	begin := time.Now()
	err = pause(ctx, 5*time.Second)
	var renamed, loaded time.Time
	var used, usedThen [3]time.Duration
	if err == nil {
		used, err = g.processorOf()
	}
	if err == nil {
		r.small, err = g.resident("VmRSS")
	}
	if err == nil {
		renamed = time.Now()
		err = os.Rename(next, keys)
	}
	if err == nil {
		err = g.awaitKeys(ctx, s.keys)
		loaded = time.Now()
	}
	if err == nil {
		usedThen, err = g.processorOf()
	}
	if err == nil {
		r.loaded, err = g.resident("VmRSS")
	}
	if err == nil {
		err = pause(ctx, 5*time.Second) // what comes after the swap counts as part of it
	}
	all := l.end()
	if err != nil {
		return r, err
	}
	r.took = loaded.Sub(renamed)
	r.gate = usedThen[0] - used[0]
	r.others = max(0, usedThen[2]-used[2]-r.gate-(usedThen[1]-used[1]))
	r.before = summarize(all, begin.Add(time.Second), renamed)
	r.during = summarize(all, renamed, time.Now())

	if r.atRest, err = g.rest(ctx); err != nil {
		return r, err
	}
	if err := r.afterwards(ctx, g, s, targets); err != nil {
		return r, err
	}
	start := time.Now()
	if _, err := g.metrics("flowlatch_keys_loaded"); err != nil {
		return r, err
	}
	r.scrape = time.Since(start)
	return r, g.finish()
}

// awaitKeys waits until the metrics tell that so many keys are in force.
func (g *gate) awaitKeys(ctx context.Context, n int) error {
	return wait(ctx, 2*time.Minute, 10*time.Millisecond, "large key file in force", func() (bool, error) {
		if g.over() {
			return false, fmt.Errorf("%w:\n%s", errGone, g.tail())
		}
		m, err := g.metrics("flowlatch_keys_loaded")
		return err == nil && m["flowlatch_keys_loaded"] == float64(n), err
	})
}

// rest waits until the resident memory does not change any more, for a minute at most, and returns it.
func (g *gate) rest(ctx context.Context) (mib float64, err error) {
	var seen []float64
	err = wait(ctx, time.Minute+10*time.Second, time.Second, "memory at rest", func() (bool, error) {
		m, err := g.resident("VmRSS")
		seen = append(seen, m)
		last := seen[max(0, len(seen)-10):]
		return err != nil || len(seen) >= 60 || len(seen) >= 10 && slices.Max(last)-slices.Min(last) < 1, err
	})
	return seen[len(seen)-1], err
}

// afterwards measures under load what the swap left.
func (r *swapRun) afterwards(ctx context.Context, g *gate, s scale, targets []target) error {
	begin := time.Now()
	l := startLoad(g.url, s.rate, targets)
	err := wait(ctx, s.rest+time.Minute, time.Second, "end of the load", func() (bool, error) {
		m, err := g.resident("VmRSS")
		r.underLoad, r.worst = m, max(r.worst, m)
		return err != nil || time.Since(begin) >= s.rest, err
	})
	r.after = summarize(l.end(), begin.Add(time.Second), time.Now())
	if err == nil {
		r.peak, err = g.resident("VmHWM")
	}
	return err
}

func report(t *table, runs []swapRun) error {
	took := ranged(runs, func(r swapRun) float64 { return r.took.Seconds() })
	t.add("rename until the metrics tell all keys", fmt.Sprintf("<= %.0f s on two cores", maxSwap.Seconds()), "%s: %s", took.text("%.1f s"), verdict(took.max <= maxSwap.Seconds()))
	t.add("processor time of the gate in it, requests included", "", "%s", ranged(runs, func(r swapRun) float64 { return r.gate.Seconds() }).text("%.1f s"))
	t.add("processor time of unrelated programs in it", "", "%s", ranged(runs, func(r swapRun) float64 { return r.others.Seconds() }).text("%.1f s"))
	var errs []error
	requests, failed := 0, 0
	for _, r := range runs {
		for _, s := range []summary{r.before, r.during, r.after} {
			requests, failed = requests+s.count, failed+s.failed
			if s.err != nil {
				errs = append(errs, s.err)
			}
		}
	}
	t.add("requests failed", "0", "%d of %d: %s", failed, requests, verdict(failed == 0))
	if failed > 0 {
		errs = append([]error{fmt.Errorf("%d of %d requests failed", failed, requests)}, errs...)
	}
	for _, phase := range []struct {
		name string
		of   func(swapRun) summary
	}{
		{"before the swap", func(r swapRun) summary { return r.before }},
		{"from the rename until 5 s after the swap", func(r swapRun) summary { return r.during }},
		{"after it, from rest", func(r swapRun) summary { return r.after }},
	} {
		latency := func(name string, of func(summary) time.Duration) {
			t.add(name+", "+phase.name, "", "%s", ranged(runs, func(r swapRun) float64 { return of(phase.of(r)).Seconds() * 1000 }).text("%.1f ms"))
		}
		latency("slowest request", func(s summary) time.Duration { return s.slowest })
		latency("p99", func(s summary) time.Duration { return s.p99 })
		latency("p50", func(s summary) time.Duration { return s.p50 })
		latency("begun late by this program, at most", func(s summary) time.Duration { return s.latest })
	}
	memory := func(name string, bar bool, of func(swapRun) float64) {
		m := ranged(runs, of)
		if bar {
			t.add(name, fmt.Sprintf("<= %.0f MiB", maxResident), "%s: %s", m.text("%.0f MiB"), verdict(m.max <= maxResident))
			return
		}
		t.add(name, "", "%s", m.text("%.0f MiB"))
	}
	memory("resident with 10 keys", false, func(r swapRun) float64 { return r.small })
	memory("resident at the most, ever", false, func(r swapRun) float64 { return r.peak })
	memory("resident when the keys are in force", false, func(r swapRun) float64 { return r.loaded })
	memory("resident at rest", true, func(r swapRun) float64 { return r.atRest })
	memory("resident after the load that follows", true, func(r swapRun) float64 { return r.underLoad })
	memory("resident at the most during that load", false, func(r swapRun) float64 { return r.worst })
	t.add("one scrape of the metrics with all keys", "", "%s", ranged(runs, func(r swapRun) float64 { return r.scrape.Seconds() * 1000 }).text("%.0f ms"))
	return errors.Join(errs...)
}

// spread is the range of a figure over several runs.
type spread struct{ median, min, max float64 }

func ranged[T any](runs []T, of func(T) float64) spread {
	var v []float64
	for _, r := range runs {
		v = append(v, of(r))
	}
	if len(v) == 0 {
		return spread{}
	}
	slices.SortFunc(v, cmp.Compare[float64])
	return spread{median(v), v[0], v[len(v)-1]}
}

func (s spread) text(format string) string {
	if s.min == s.max {
		return fmt.Sprintf(format, s.median)
	}
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.median, s.min, s.max)
}
