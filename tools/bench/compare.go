//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	streams = 200 // that send events
	atRest  = 5 * time.Second
	settled = time.Second
)

// compare measures what a request, a stream and a process cost, beside other products.
func compare(ctx context.Context, o *options, out io.Writer) error {
	c, err := newComparison(ctx, o)
	if err != nil {
		return err
	}
	err = c.run(ctx, out, c.turn)
	c.report(out)
	return err
}

// turn starts every product anew and measures it.
func (c *comparison) turn(ctx context.Context, turn int, dir string) (err error) {
	var few, many []*instance
	defer func() { closeAll(append(few, many...)) }()
	progress("turn %d of %d: start and rest", turn+1, c.turns)
	if few, err = c.start(ctx, turn, dir, fewKeys); err != nil {
		return err
	}
	if many, err = c.start(ctx, turn, dir, manyKeys); err != nil {
		return err
	}
	if err := pause(ctx, atRest); err != nil {
		return err
	}
	for n := range many {
		c.figures.note(readyMany, many[n].name, millis(many[n].ready))
		if info, err := os.Stat(many[n].binary); err == nil && many[n].name != httputilName {
			c.figures.note(binarySize, many[n].name, float64(info.Size())/(1<<20))
		}
		if err := errors.Join(c.resident(restFew, few[n]), c.resident(restMany, many[n])); err != nil {
			return err
		}
	}
	progress("turn %d of %d: idle streams", turn+1, c.turns)
	for len(few) > 0 {
		if err := c.idleStreams(ctx, few[0]); err != nil {
			return fmt.Errorf("%s: %w", few[0].name, err)
		}
		few[0].close()
		few = few[1:]
	}
	if err := c.rounds(ctx, turn, many, c.steps()); err != nil {
		return err
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

// steps are the loads of a turn.
func (c *comparison) steps() []step {
	short := c.forwarded()
	one, large := short, short
	one.Connections = 1
	large.Connections, large.Requests, large.End = 4, c.valid(askLarge), ""
	events := load{Connections: streams, Requests: c.valid(askEvents), Status: http.StatusOK, Streams: true}
	return []step{
		{what: "warm-up", load: short, once: true},
		{what: "forwarded requests", load: short, cpu: cpuForwarded, note: func(note func(string, float64), saw outcome) {
			note(throughput, float64(saw.Done)/saw.Took.Seconds())
			note(latency50, micros(saw.P50))
			note(latency99, micros(saw.P99))
		}},
		{what: "refused requests", load: c.unknown(), cpu: cpuRefused},
		{what: "one connection", load: one, note: func(note func(string, float64), saw outcome) { note(latencyOne, micros(saw.P50)) }},
		{what: "responses of 1 MiB", load: large, cpu: cpuLarge},
		{what: "events", load: events, cpu: cpuEvent, note: func(note func(string, float64), saw outcome) { note(latencyEvent, micros(saw.P99)) }},
	}
}

// idleStreams measures the memory of event streams on which nothing happens after the first event.
func (c *comparison) idleStreams(ctx context.Context, i *instance) error {
	before, err := i.resident("VmRSS")
	if err != nil {
		return err
	}
	clients, err := startClients(ctx, i.Dir, load{
		Port: i.Port, Connections: c.idle, Requests: c.keys.valid(fewKeys, 1, askSilent), Status: http.StatusOK, Streams: true,
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
