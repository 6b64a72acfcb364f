//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	fewKeys     = 10
	manyKeys    = 10_000
	keysUsed    = 1000 // of them, in a load
	connections = 64
	rounds      = 5 // of the loads in a turn
)

// comparison is products that run side by side and get the same loads.
type comparison struct {
	*options
	keys     *fixture
	products []*product
	versions []string
	figures  figures
	failed   []error // requests to flowlatch
}

func newComparison(ctx context.Context, o *options) (c *comparison, err error) {
	if runtime.NumCPU() < 2 {
		return nil, errors.New("two cores are needed: one for what is measured, one for clients and upstream")
	}
	c = &comparison{options: o, keys: newFixture(manyKeys), figures: figures{}}
	c.products, c.versions, err = products(ctx, o)
	return c, err
}

// run measures in turns, each with a directory of its own, and prints what was measured where.
func (c *comparison) run(ctx context.Context, out io.Writer, turn func(ctx context.Context, n int, dir string) error) (err error) {
	began, others := time.Now(), machineCPU()-ownCPU()
	turns := 0
	for ; turns < c.turns && err == nil; turns++ {
		var dir string
		if dir, err = os.MkdirTemp(c.dir, "turn-"); err == nil {
			err = turn(ctx, turns, dir)
		}
	}
	fmt.Fprintf(out, "%s.\n", strings.Join(append([]string{machine()}, c.versions...), ", "))
	fmt.Fprintf(out, "%d turns with %d rounds of loads, %s each; median, range in parentheses. Unrelated programs and the hypervisor used %.2f of %d cores.\n\n",
		turns, rounds, c.duration, max(0, (machineCPU()-ownCPU()-others).Seconds()/time.Since(began).Seconds()), runtime.NumCPU())
	return errors.Join(append(c.failed, err)...)
}

// start starts all products with the first count keys, another first in each turn.
func (c *comparison) start(ctx context.Context, turn int, dir string, count int) (all []*instance, err error) {
	for n := range c.products {
		i, err := c.products[(n+turn)%len(c.products)].start(ctx, dir, c.upstream.addr, c.keys, count, "")
		if err != nil {
			return all, err
		}
		all = append(all, i)
	}
	return all, nil
}

// step is a load that every product gets.
type step struct {
	what string
	load
	cpu     string // figure for the CPU of a request, or of an event; empty means that it is not noted
	note    func(note func(figure string, v float64), saw outcome)
	once    bool // in the first round only
	limited bool // for products with limits only
}

// rounds sends each load to one product after the other, so that a time in which the machine is slow hits all of them.
func (c *comparison) rounds(ctx context.Context, turn int, all []*instance, steps []step) error {
	for round := range rounds {
		progress("turn %d of %d: loads, round %d of %d", turn+1, c.turns, round+1, rounds)
		for _, s := range steps {
			for _, i := range all {
				if s.once && round > 0 || s.limited && !i.Limited {
					continue
				}
				if err := c.load(ctx, i, s); err != nil {
					return fmt.Errorf("%s: %w", i.name, err)
				}
			}
		}
	}
	return nil
}

// valid returns requests with keys of all chatflows but the last, which is used up where there are limits.
func (c *comparison) valid(ask string) []string {
	return c.keys.valid(manyKeys-keysPerChatflow, keysUsed, ask)
}

// forwarded is a load of requests that are let in.
func (c *comparison) forwarded() load {
	return load{Connections: connections, For: c.duration, Requests: c.valid(""), Status: http.StatusOK, End: responseBody}
}

// unknown is a load of requests with keys that are in no key file.
func (c *comparison) unknown() load {
	return load{Connections: connections, For: c.duration, Requests: unknown(100), Status: http.StatusUnauthorized}
}

// load sends a load to a product and notes what it cost.
func (c *comparison) load(ctx context.Context, i *instance, s step) error {
	s.Port = i.Port
	if i.single {
		s.Requests = s.Requests[:1]
	}
	before, err := c.state(i)
	if err != nil {
		return err
	}
	clients, err := startClients(ctx, i.Dir, s.load)
	if err != nil {
		return err
	}
	defer clients.end()
	if s.Streams { // now they are open
		if before, err = c.state(i); err != nil {
			return err
		}
		if err := pause(ctx, 2*c.duration); err != nil {
			return err
		}
	} else if err := clients.done(ctx); err != nil {
		return err
	}
	after, err := c.state(i)
	if err != nil {
		return err
	}
	saw, err := finish(ctx, clients)
	if err != nil {
		return err
	}
	count := saw.Done
	if s.Streams {
		count = after.Events - before.Events
	}
	note := func(figure string, v float64) { c.figures.note(figure, i.name, v) }
	if s.cpu != "" {
		note(s.cpu, micros(after.cpu-before.cpu)/float64(count))
		if i.redis != nil {
			c.figures.note(s.cpu, serverName, micros(after.redis-before.redis)/float64(count))
		}
	}
	if s.note != nil {
		s.note(note, saw)
	}
	if s.Status != http.StatusOK {
		if n := after.Refused - before.Refused; n > 0 {
			c.fault(i, fmt.Errorf("%s: %d of %d were forwarded", s.what, n, count))
		}
	}
	c.fault(i, saw.err(s.what))
	return nil
}

// state is what a load changes.
type state struct {
	tally
	cpu, redis time.Duration // of the product, and of its redis-server
}

func (c *comparison) state(i *instance) (s state, err error) {
	if s.tally, err = c.upstream.tally(); err != nil {
		return s, err
	}
	if s.cpu, err = i.cpu(); err == nil && i.redis != nil {
		s.redis, err = i.redis.cpu()
	}
	return s, err
}

// fault notes that requests failed. Only flowlatch's are an error of the run; others' are a finding.
func (c *comparison) fault(i *instance, err error) {
	if err == nil {
		return
	}
	progress("%s: %v", i.name, err)
	if strings.HasPrefix(i.name, flowlatchName) {
		c.failed = append(c.failed, err)
	}
}
