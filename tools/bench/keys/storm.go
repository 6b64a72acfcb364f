//go:build bench

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// stormEvery is the time from one change of the key file to the next.
const stormEvery = 10 * time.Millisecond

// left is what a process holds.
type left struct{ goroutines, descriptors int }

// storm changes the key file a hundred times a second under load, with the race detector watching.
func storm(ctx context.Context, f *fixture, s scale, dir string) (table, error) {
	t := table{title: fmt.Sprintf("100 reloads/s for %s, race detector on, %d requests/s", s.storm, s.stormy)}
	binary, err := build(ctx, dir, true)
	if err != nil {
		return t, err
	}
	if dir, err = os.MkdirTemp(dir, "storm-"); err != nil {
		return t, err
	}
	c := &changes{fixture: f, keys: filepath.Join(dir, "keys.yaml"), next: filepath.Join(dir, "next")}
	if err := c.change(); err != nil {
		return t, err
	}
	upstream, err := startRunner()
	if err != nil {
		return t, err
	}
	defer upstream.close()
	g, err := startGate(ctx, binary, c.keys, upstream.url)
	if err != nil {
		return t, err
	}
	defer g.kill()

	// A first little storm, so that what is made once and kept is there before it is counted.
	if _, _, err := c.blow(ctx, g, s, 20); err != nil {
		return t, err
	}
	before, err := g.settle(ctx, nil)
	if err != nil {
		return t, err
	}
	progress("storm of %s", s.storm)
	from, generation := time.Now(), c.generation
	sent, over, err := c.blow(ctx, g, s, int(s.storm/stormEvery))
	if err != nil {
		return t, err
	}
	sum := summarize(sent, from, over)
	after, err := g.settle(ctx, &before)
	if err != nil {
		return t, err
	}
	m, err := g.metrics(`flowlatch_keys_reloads_total{result="failure"}`)
	if err != nil {
		return t, err
	}
	reloads, faults := c.generation-generation, m[`flowlatch_keys_reloads_total{result="failure"}`]
	perSecond := float64(reloads) / over.Sub(from).Seconds()
	t.add("reloads, each with a new generation", ">= 100/s", "%d, %.1f/s: %s", reloads, perSecond, verdict(perSecond >= 99.5))
	t.add("faults found in the key file", "0", "%.0f: %s", faults, verdict(faults == 0))
	t.add("requests failed", "0", "%d of %d: %s", sum.failed, sum.count, verdict(sum.failed == 0))
	t.add("slowest request", "", "%.1f ms", sum.slowest.Seconds()*1000)
	t.add("p99, p50", "", "%.1f ms, %.1f ms", sum.p99.Seconds()*1000, sum.p50.Seconds()*1000)
	t.add("goroutines before and after", "none left over", "%d, %d: %s", before.goroutines, after.goroutines, verdict(after.goroutines <= before.goroutines))
	t.add("descriptors before and after", "none left over", "%d, %d: %s", before.descriptors, after.descriptors, verdict(after.descriptors <= before.descriptors))
	ended := g.finish()
	t.add("data races, exit status", "none, 0", "%s", verdict(ended == nil))
	switch {
	case sum.failed > 0:
		return t, fmt.Errorf("%d of %d requests failed, the first: %w", sum.failed, sum.count, sum.err)
	case after.goroutines > before.goroutines || after.descriptors > before.descriptors:
		return t, fmt.Errorf("left over: %+v, before the storm %+v", after, before)
	case faults > 0:
		return t, fmt.Errorf("%.0f faults found in a key file that never had one", faults)
	}
	return t, ended
}

// settle waits until the process holds no more than it did and returns what it holds. What is still
// too much after a while is left over. Not told how much it may be, it returns the least that the
// process holds within some seconds, which is longer than connections to the runner stay open.
func (g *gate) settle(ctx context.Context, want *left) (left, error) {
	var now, least left
	begin := time.Now()
	err := wait(ctx, 30*time.Second, 100*time.Millisecond, "rest", func() (bool, error) {
		m, err := g.metrics("go_goroutines")
		if err != nil {
			return false, err
		}
		now.goroutines = int(m["go_goroutines"])
		if now.descriptors, err = g.descriptors(); err != nil {
			return false, err
		}
		if least == (left{}) {
			least = now
		}
		least.goroutines, least.descriptors = min(least.goroutines, now.goroutines), min(least.descriptors, now.descriptors)
		if want != nil {
			return least.goroutines <= want.goroutines && least.descriptors <= want.descriptors, nil
		}
		return time.Since(begin) > 8*time.Second, nil
	})
	if ctx.Err() == nil && want != nil && least != (left{}) {
		err = nil // the caller compares
	}
	return least, err
}

// changes are versions of a key file, each with another key that no other has.
type changes struct {
	fixture    *fixture
	keys, next string
	n          int
	generation uint64 // in force
}

func (c *changes) secret() string { return fmt.Sprintf("secret-of-version-%d", c.n) }

// change makes the next version, odd ones by rename, even ones in place.
func (c *changes) change() error {
	c.n++
	var b bytes.Buffer
	if err := c.fixture.write(&b, 10, "changing", c.secret()); err != nil {
		return err
	}
	if c.n%2 == 0 {
		return os.WriteFile(c.keys, b.Bytes(), 0o600)
	}
	if err := os.WriteFile(c.next, b.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(c.next, c.keys)
}

// blow makes n changes, one every stormEvery, each put in force before the next, while requests go on.
func (c *changes) blow(ctx context.Context, g *gate, s scale, n int) (all []sent, over time.Time, err error) {
	var targets []target
	for i := range 10 {
		targets = append(targets, target{chatflowOf(i), string(c.fixture.token(i))})
	}
	l := startLoad(g.url, s.stormy, targets)
	begin := time.Now()
	for i := range n {
		if err = pause(ctx, time.Until(begin.Add(time.Duration(i)*stormEvery))); err != nil {
			break
		}
		if err = c.reload(g); err != nil {
			break
		}
	}
	over = time.Now()
	all = l.end()
	if err != nil {
		return all, over, err
	}
	// The last version is in force, and none before it.
	last, before := target{chatflowOf(0), c.secret()}, target{chatflowOf(0), fmt.Sprintf("secret-of-version-%d", c.n-1)}
	if err := l.send(last); err != nil {
		return all, over, fmt.Errorf("with the key of the last version: %w", err)
	}
	if err := l.send(before); err == nil {
		return all, over, errors.New("the key of the version before the last is let through")
	}
	l.client.CloseIdleConnections()
	return all, over, nil
}

// reload makes a change and has it put in force, unless the gate was faster.
func (c *changes) reload(g *gate) error {
	if err := c.change(); err != nil {
		return err
	}
	generation, err := g.reload()
	if err != nil {
		if g.over() {
			<-g.ended
			return fmt.Errorf("%w:\n%s", errGone, g.tail())
		}
		return err
	}
	if c.generation != 0 && generation != c.generation+1 {
		return fmt.Errorf("generation after the change = %d, want %d", generation, c.generation+1)
	}
	c.generation = generation
	return nil
}
