//go:build bench

package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"
)

// The figures of limits.
const (
	cpuLimited = "CPU of a request that a limit refuses, µs"
)

// Names of flowlatch with limits.
const (
	limitsName = flowlatchName + ", limits"
	redisName  = flowlatchName + ", limits in Redis"
	serverName = "its redis-server"
)

// limits measures what limits of key, chatflow and client cost: a request that they let in, and one that they refuse.
func limits(ctx context.Context, o *options, out io.Writer) error {
	c, err := newComparison(ctx, o)
	if err != nil {
		return err
	}
	c.addLimits(ctx)
	err = c.run(ctx, out, c.limitsTurn)
	c.reportLimits(out)
	return err
}

// addLimits adds the products with limits.
func (c *comparison) addLimits(ctx context.Context) {
	c.products = slices.DeleteFunc(c.products, func(p *product) bool { return p.name == httputilName })
	for _, p := range slices.Clone(c.products) {
		if p.name == baselineName || p.single { // Caddy has no limits
			continue
		}
		with := *p
		with.name, with.without, with.limited = p.name+", limits", p.name, true
		c.products = append(c.products, &with)
	}
	binary, err := lookPath("redis-server")
	if err != nil {
		progress("without Redis: %v", err)
		return
	}
	shared := flowlatch(redisName, c.binary)
	shared.args += " --limits-redis unix://{{.Dir}}/redis"
	shared.without, shared.limited, shared.shared = flowlatchName, true, true
	c.products = append(c.products, shared)
	c.versions = append(c.versions, "Redis "+versionOf(ctx, binary))
}

// limitsTurn starts every product anew and measures it.
func (c *comparison) limitsTurn(ctx context.Context, turn int, dir string) error {
	progress("turn %d of %d: start", turn+1, c.turns)
	all, err := c.start(ctx, turn, dir, manyKeys)
	defer closeAll(all)
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.shared {
			if err := i.wait(ctx, 10*time.Second, 10*time.Millisecond, "Redis", i.countsInRedis); err != nil {
				return err
			}
		}
		if i.limited { // now the chatflow is used up
			if err := i.serves(ctx, c.keys.usedUp("")[0]); err != nil {
				return err
			}
		}
	}
	if err := c.rounds(ctx, turn, all, c.limitSteps()); err != nil {
		return err
	}
	for _, i := range all {
		if !i.shared {
			continue
		}
		if ok, err := i.countsInRedis(); err != nil || !ok {
			c.fault(i, errors.Join(errors.New("limits are not counted in Redis any more"), err))
		}
	}
	return nil
}

// countsInRedis reports whether the gate counts in its Redis now.
func (i *instance) countsInRedis() (bool, error) {
	m, err := i.metrics("flowlatch_limits_backend_up", "flowlatch_limits_degraded")
	return m["flowlatch_limits_backend_up"] == 1 && m["flowlatch_limits_degraded"] == 0, err
}

func (c *comparison) limitSteps() []step {
	forwarded, refused := c.forwarded(), c.forwarded()
	// One client that hammers, as a 401 has: of many, each has log lines of its own, and the measurement would be of them.
	refused.Requests, refused.Status, refused.End = c.keys.usedUp(askRefused)[:1], http.StatusTooManyRequests, ""
	return []step{
		{what: "warm-up", load: forwarded, once: true},
		{what: "forwarded requests", load: forwarded, cpu: cpuForwarded},
		{what: "requests that a limit refuses", load: refused, cpu: cpuLimited, limited: true},
		{what: "requests without a valid key", load: c.unknown(), cpu: cpuRefused, limited: true},
	}
}

// reportLimits says whether flowlatch exceeds a bar, and prints the table.
func (c *comparison) reportLimits(out io.Writer) {
	of := func(figure, product string) []float64 { return c.figures[figure][product] }
	var bars table
	bars.judge("without limits, to the baseline", c.figures.ratio(cpuForwarded, flowlatchName, baselineName), 1.03, "×")
	more := difference(of(cpuForwarded, redisName), of(cpuForwarded, flowlatchName))
	bars.judge("more CPU of a forwarded request with Redis", more, 10, " µs")
	for _, name := range []string{limitsName, redisName} {
		bars.judge(name+": a request that a limit refuses, to one without a valid key", ratio(of(cpuLimited, name), of(cpuRefused, name)), 1.2, "×")
	}
	t := table{{"CPU, µs", "forwarded", "to the same without limits", "refused by a limit, 429", "to a 401 of the same"}}
	for _, p := range c.products {
		t.add(p.name, c.figures.of(cpuForwarded, p.name).String(), ratio(of(cpuForwarded, p.name), of(cpuForwarded, p.without)).String(),
			c.figures.of(cpuLimited, p.name).String(), ratio(of(cpuLimited, p.name), of(cpuRefused, p.name)).String())
	}
	if server := of(cpuForwarded, serverName); server != nil {
		t.add(serverName, spreadOf(server).String(), "", c.figures.of(cpuLimited, serverName).String(), "")
	}
	t.print(out)
}
