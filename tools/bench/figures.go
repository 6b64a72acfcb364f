//go:build bench

package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// The figures, by what the table calls them.
const (
	cpuForwarded = "CPU per forwarded request, µs"
	cpuRefused   = "CPU per refused request, µs"
	refusedShare = "refused to forwarded"
	opened       = "upstream connections opened by refused requests"
	rate         = "requests/s, 64 connections"
	busy         = "of its core used meanwhile, %"
	p50          = "p50, 64 connections, µs"
	p99          = "p99, 64 connections, µs"
	oneP50       = "p50, 1 connection, µs"
	oneAdded     = "of it added to the upstream's own, µs"
	restFew      = "resident at rest, 10 keys, MiB"
	restMany     = "resident at rest, 10,000 keys, MiB"
	afterLoad    = "resident after the load, MiB"
	perStream    = "resident per stream, idle, KiB"
	perActive    = "resident per stream, an event a second, KiB"
	withAll      = "resident with all streams, MiB"
	latest       = "latest event, ms after it was owed"
	lateP99      = "p99 of events, ms after they were owed"
	gap          = "longest gap between events, ms above a second"
	streamCPU    = "of its core used for the events, %"
	size         = "binary, MiB"
	readyFew     = "start to first answer, 10 keys, ms"
	readyMany    = "start to first answer, 10,000 keys, ms"
)

// order is the order of the table.
var order = []string{
	cpuForwarded, cpuRefused, refusedShare, opened, rate, busy, p50, p99, oneP50, oneAdded, restFew, restMany, afterLoad,
	perStream, perActive, withAll, latest, lateP99, gap, streamCPU, size, readyFew, readyMany,
}

// ratios are the figures that are compared, lower ones better but for the rate.
var ratios = []string{cpuForwarded, cpuRefused, rate, p50, p99, oneP50, restMany, perStream, latest, readyMany, size}

// figures holds a value for each figure, product and turn.
type figures map[string]map[string]map[int]float64

func (f figures) note(turn int, figure, product string, v float64) {
	if f[figure] == nil {
		f[figure] = map[string]map[int]float64{}
	}
	if f[figure][product] == nil {
		f[figure][product] = map[int]float64{}
	}
	f[figure][product][turn] = v
}

func (f figures) at(turn int, figure, product string) float64 {
	if v, ok := f[figure][product][turn]; ok {
		return v
	}
	return math.NaN()
}

// spread is a median with its range.
type spread struct{ median, low, high float64 }

func spreadOf(values []float64) spread {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	slices.Sort(values)
	n := len(values)
	return spread{(values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]}
}

// of returns the spread of a figure over the turns.
func (f figures) of(turns int, figure, product string) spread {
	var values []float64
	for t := range turns {
		values = append(values, f.at(t, figure, product))
	}
	return spreadOf(values)
}

// ratio returns the spread of one product's figure over another's, turn by turn.
func (f figures) ratio(turns int, figure, product, over string) spread {
	var values []float64
	for t := range turns {
		values = append(values, f.at(t, figure, product)/f.at(t, figure, over))
	}
	return spreadOf(values)
}

func (s spread) String() string {
	switch {
	case math.IsNaN(s.median):
		return ""
	case s.low == s.high:
		return number(s.median)
	}
	return fmt.Sprintf("%s (%s to %s)", number(s.median), number(s.low), number(s.high))
}

// number shows three digits.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a == math.Trunc(a) && a < 100, a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// table is lines of cells, the first of which is the heading.
type table [][]string

func (t *table) add(cells ...string) { *t = append(*t, cells) }

// print writes the table so that it reads well as it is and as Markdown.
func (t table) print(w io.Writer) {
	if len(t) < 2 {
		return
	}
	width := make([]int, len(t[0]))
	for _, r := range t {
		for i, cell := range r {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for n, r := range t {
		for i, cell := range r {
			fmt.Fprintf(w, "| %-*s ", width[i], cell)
		}
		fmt.Fprint(w, "|\n")
		if n == 0 {
			for i := range r {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", width[i]+2))
			}
			fmt.Fprint(w, "|\n")
		}
	}
	fmt.Fprintln(w)
}

// verdict says whether a bar is met.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

// report prints what was measured.
func (l *lab) report(w io.Writer, turns int, versions string, others float64) {
	for _, p := range l.products {
		if info, err := os.Stat(p.binary); err == nil {
			for t := range turns {
				l.figures.note(t, size, p.name, float64(info.Size())/(1<<20))
			}
		}
	}
	fmt.Fprintf(w, "%s; %s.\n", machine(), versions)
	fmt.Fprintf(w, "Turns: %d, of %s for each load; streams: %d; median, and the range in parentheses. Unrelated programs and the hypervisor used %.2f of %d cores meanwhile.\n\n",
		turns, l.duration, l.streams, others, cores())
	bars := table{{"bar", "", "measured", ""}}
	l.bars(&bars, turns)
	bars.print(w)

	head := []string{"flowlatch to"}
	for _, p := range l.products {
		if p.name != "flowlatch" {
			head = append(head, p.name)
		}
	}
	compared := table{head}
	if l.has("flowlatch") && len(head) > 1 {
		for _, figure := range ratios {
			line := []string{figure}
			for _, over := range head[1:] {
				line = append(line, l.figures.ratio(turns, figure, "flowlatch", over).String())
			}
			if strings.Join(line[1:], "") != "" {
				compared.add(line...)
			}
		}
	}
	compared.print(w)

	head = []string{""}
	for _, p := range l.products {
		head = append(head, p.name)
	}
	head = append(head, direct)
	all := table{head}
	for _, figure := range order {
		line := []string{figure}
		for _, name := range head[1:] {
			line = append(line, l.figures.of(turns, figure, name).String())
		}
		if strings.Join(line[1:], "") != "" {
			all.add(line...)
		}
	}
	all.print(w)

	if len(l.faults) > 0 {
		append(table{{"turn", "of", "while", "what went wrong"}}, l.faults...).print(w)
	} else {
		fmt.Fprint(w, "No request went wrong, with any of them.\n\n")
	}

	checks := table{{"", "keys", "check"}}
	for _, p := range l.products {
		n := "10,000"
		if p.single {
			n = "1"
		}
		checks.add(p.name, n, p.check)
	}
	checks.print(w)
}

// bars adds what the figures of flowlatch must be.
func (l *lab) bars(t *table, turns int) {
	const mine = "flowlatch"
	if !l.has(mine) {
		return
	}
	add := func(what string, limit float64, unit string, s spread, judged float64) {
		if !math.IsNaN(judged) {
			t.add(what, "<= "+number(limit)+unit, s.String()+unit, verdict(judged <= limit))
		}
	}
	own := func(what string, limit float64, unit, figure string) {
		s := l.figures.of(turns, figure, mine)
		add(what, limit, unit, s, s.median)
	}
	over := func(what string, limit float64, figure, other string) {
		s := l.figures.ratio(turns, figure, mine, other)
		add(what, limit, "×", s, s.median)
	}
	over("CPU per forwarded request, of Caddy's", 0.40, cpuForwarded, "Caddy")
	over("CPU per forwarded request, of nginx's", 3.5, cpuForwarded, "nginx")
	own("CPU per refused request, of a forwarded one", 0.30, "×", refusedShare)
	s := l.figures.of(turns, opened, mine)
	add("upstream connections opened by refused requests", 0, "", s, s.high)
	own(fmt.Sprintf("memory per idle stream, %d streams", l.streams), 40, " KiB", perStream)
	s = l.figures.of(turns, latest, mine)
	add(fmt.Sprintf("latest event, %d streams of one a second", l.streams), 100, " ms", s, s.high)
	own("at rest, 10 keys", 16, " MiB", restFew)
	own("at rest, 10,000 keys", 32, " MiB", restMany)
	own("binary", 16, " MiB", size)
	own("ready, 10 keys", 100, " ms", readyFew)
	own("ready, 10,000 keys", 100, " ms", readyMany)
	over("p50 at 1 connection, of nginx's", 1.1, oneP50, "nginx")
}

func (l *lab) has(name string) bool {
	return slices.ContainsFunc(l.products, func(p *product) bool { return p.name == name })
}
