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
	streams     = 200 // that send events
	rounds      = 5   // of the loads in a turn
	atRest      = 5 * time.Second
	settled     = time.Second
)

// comparison is a run of compare.
type comparison struct {
	*options
	keys     *fixture
	products []*product
	figures  figures
	failed   []error // requests to flowlatch
}

// compare measures the products in turns.
func compare(ctx context.Context, o *options, out io.Writer) error {
	if runtime.NumCPU() < 2 {
		return errors.New("two cores are needed: one for what is measured, one for clients and upstream")
	}
	all, versions, err := products(ctx, o)
	if err != nil {
		return err
	}
	c := &comparison{options: o, keys: newFixture(manyKeys), products: all, figures: figures{}}
	began, others := time.Now(), machineCPU()-ownCPU()
	turns := 0
	for ; turns < o.turns && err == nil; turns++ {
		err = c.turn(ctx, turns)
	}
	fmt.Fprintf(out, "%s.\n", strings.Join(append([]string{machine()}, versions...), ", "))
	fmt.Fprintf(out, "%d turns with %d rounds of loads, %s each; %d idle streams; median, range in parentheses. Unrelated programs and the hypervisor used %.2f of %d cores.\n\n",
		turns, rounds, o.duration, o.idle, max(0, (machineCPU()-ownCPU()-others).Seconds()/time.Since(began).Seconds()), runtime.NumCPU())
	c.report(out)
	return errors.Join(append(c.failed, err)...)
}

// turn starts every product anew and measures it. The products run side by side, and each load is sent to one after the other, so that a time in which the
// machine is slow hits all of them.
func (c *comparison) turn(ctx context.Context, turn int) error {
	dir, err := os.MkdirTemp(c.dir, "turn-")
	if err != nil {
		return err
	}
	up, err := startUpstream(ctx, dir)
	if err != nil {
		return err
	}
	defer up.end()
	var few, many []*instance
	defer func() {
		for _, i := range append(few, many...) {
			i.close()
		}
	}()
	progress("turn %d of %d: start and rest", turn+1, c.turns)
	for n := range c.products {
		p := c.products[(n+turn)%len(c.products)] // another first in each turn
		for _, kind := range []struct {
			all   *[]*instance
			count int
		}{{&few, fewKeys}, {&many, manyKeys}} {
			i, err := p.start(ctx, dir, up.addr, c.keys, kind.count, "")
			if err != nil {
				return err
			}
			*kind.all = append(*kind.all, i)
		}
	}
	if err := pause(ctx, atRest); err != nil {
		return err
	}
	for n := range many {
		c.figures.note(readyMany, many[n].name, many[n].ready.Seconds()*1000)
		if info, err := os.Stat(many[n].binary); err == nil && many[n].name != httputilName {
			c.figures.note(binarySize, many[n].name, float64(info.Size())/(1<<20))
		}
		if err := errors.Join(c.resident(restFew, few[n]), c.resident(restMany, many[n])); err != nil {
			return err
		}
	}
	progress("turn %d of %d: idle streams", turn+1, c.turns)
	for _, i := range few {
		if err := c.idleStreams(ctx, i); err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		i.close()
	}
	few = nil
	for round := range rounds {
		progress("turn %d of %d: loads, round %d of %d", turn+1, c.turns, round+1, rounds)
		for _, s := range c.steps(round == 0) {
			for _, i := range many {
				if err := c.load(ctx, up, i, s); err != nil {
					return fmt.Errorf("%s: %w", i.name, err)
				}
			}
		}
	}
	for _, i := range many {
		if err := c.resident(restAfter, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) resident(figure string, i *instance) error {
	mib, err := i.resident("VmRSS")
	c.figures.note(figure, i.name, mib)
	return err
}

// step is a load that every product gets.
type step struct {
	what string
	load
	cpu  string // figure for the CPU of a request, or of an event; empty means that it is not noted
	note func(note func(figure string, v float64), saw outcome)
}

func (c *comparison) steps(cold bool) []step {
	valid := func(ask string) []string { return c.keys.valid(manyKeys, keysUsed, ask) }
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	short := load{Connections: connections, For: c.duration, Requests: valid(""), Status: http.StatusOK, End: responseBody}
	one, large := short, short
	one.Connections = 1
	large.Connections, large.Requests, large.End = 4, valid(askLarge), ""
	refused := load{Connections: connections, For: c.duration, Requests: unknown(100), Status: http.StatusUnauthorized}
	events := load{Connections: streams, Requests: valid(askEvents), Status: http.StatusOK, Streams: true}
	steps := []step{
		{what: "forwarded requests", load: short, cpu: cpuForwarded, note: func(note func(string, float64), saw outcome) {
			note(throughput, float64(saw.Done)/saw.Took.Seconds())
			note(latency50, micros(saw.P50))
			note(latency99, micros(saw.P99))
		}},
		{what: "refused requests", load: refused, cpu: cpuRefused},
		{what: "one connection", load: one, note: func(note func(string, float64), saw outcome) { note(latencyOne, micros(saw.P50)) }},
		{what: "responses of 1 MiB", load: large, cpu: cpuLarge},
		{what: "events", load: events, cpu: cpuEvent, note: func(note func(string, float64), saw outcome) { note(latencyEvent, micros(saw.P99)) }},
	}
	if cold {
		return append([]step{{what: "warm-up", load: short}}, steps...)
	}
	return steps
}

// load sends a load to a product and notes what it cost.
func (c *comparison) load(ctx context.Context, up *upstream, i *instance, s step) error {
	s.Port = i.Port
	if i.single {
		s.Requests = s.Requests[:1]
	}
	before, err := c.state(up, i)
	if err != nil {
		return err
	}
	clients, err := startClients(ctx, i.Dir, s.load)
	if err != nil {
		return err
	}
	defer clients.end()
	if s.Streams { // now they are open
		if before, err = c.state(up, i); err != nil {
			return err
		}
		if err := pause(ctx, 2*c.duration); err != nil {
			return err
		}
	} else if err := clients.done(ctx); err != nil {
		return err
	}
	after, err := c.state(up, i)
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
		note(s.cpu, float64((after.cpu-before.cpu).Nanoseconds())/1000/float64(count))
	}
	if s.note != nil {
		s.note(note, saw)
	}
	if s.Status == http.StatusUnauthorized {
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
	cpu time.Duration // of the product
}

func (c *comparison) state(up *upstream, i *instance) (s state, err error) {
	if s.tally, err = up.tally(); err != nil {
		return s, err
	}
	s.cpu, err = i.cpu()
	return s, err
}

// idleStreams measures the memory of event streams on which nothing happens after the first event.
func (c *comparison) idleStreams(ctx context.Context, i *instance) error {
	before, err := i.resident("VmRSS")
	if err != nil {
		return err
	}
	clients, err := startClients(ctx, i.Dir, load{
		Port: i.Port, Connections: c.idle, Requests: c.keys.valid(len(i.Tokens), 1, askSilent), Status: http.StatusOK, Streams: true,
	})
	if err != nil {
		return err
	}
	defer clients.end()
	if err := pause(ctx, settled); err != nil {
		return err
	}
	open, err := i.resident("VmRSS")
	if err != nil {
		return err
	}
	c.figures.note(perStream, i.name, (open-before)*1024/float64(c.idle))
	saw, err := finish(ctx, clients)
	c.fault(i, saw.err("idle streams"))
	return err
}

// fault notes that requests failed. Only flowlatch's are an error of the run; others' are a finding.
func (c *comparison) fault(i *instance, err error) {
	if err == nil {
		return
	}
	progress("%s: %v", i.name, err)
	if i.name == flowlatchName {
		c.failed = append(c.failed, err)
	}
}
