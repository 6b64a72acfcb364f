//go:build bench

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// figures holds what was measured, by figure and product, a value for each round, or turn.
type figures map[string]map[string][]float64

func (f figures) note(figure, product string, v float64) {
	if f[figure] == nil {
		f[figure] = map[string][]float64{}
	}
	f[figure][product] = append(f[figure][product], v)
}

// of returns the spread of a product's figure over the rounds.
func (f figures) of(figure, product string) spread { return spreadOf(f[figure][product]) }

// ratio returns the spread of one product's figure over another's, round by round.
func (f figures) ratio(figure, product, over string) spread {
	return ratio(f[figure][product], f[figure][over])
}

// ratio returns the spread of a over b, which were measured in the same rounds.
func ratio(a, b []float64) spread { return compared(a, b, func(a, b float64) float64 { return a / b }) }

// difference returns the spread of a less b, which were measured in the same rounds.
func difference(a, b []float64) spread {
	return compared(a, b, func(a, b float64) float64 { return a - b })
}

func compared(a, b []float64, how func(a, b float64) float64) spread {
	var values []float64
	for i := range min(len(a), len(b)) {
		values = append(values, how(a[i], b[i]))
	}
	return spreadOf(values)
}

// spread is a median with its range. Its median is NaN if there is no value.
type spread struct{ median, low, high float64 }

func spreadOf(values []float64) spread {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	if n == 0 {
		return spread{median: math.NaN()}
	}
	return spread{(values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]}
}

func (s spread) String() string { return s.unit("") }

// unit writes the spread with a unit.
func (s spread) unit(unit string) string {
	switch {
	case math.IsNaN(s.median):
		return ""
	case number(s.low) == number(s.high):
		return number(s.median) + unit
	}
	return fmt.Sprintf("%s%s (%s to %s)", number(s.median), unit, number(s.low), number(s.high))
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

// reading is a line of a table before it is written.
type reading struct {
	what         string
	value, limit float64
	unit         string
}

// none is the limit of what has none.
var none = math.Inf(1)

func millis(d time.Duration) float64 { return d.Seconds() * 1e3 }

func micros(d time.Duration) float64 { return d.Seconds() * 1e6 }

// table is lines of cells, the first of which is the header.
type table [][]string

func (t *table) add(cells ...string) { *t = append(*t, cells) }

// readings adds a line for each reading, over all turns.
func (t *table) readings(turns ...[]reading) {
	for n := range turns[0] {
		var values []float64
		for _, turn := range turns {
			values = append(values, turn[n].value)
		}
		r := turns[0][n]
		t.judge(r.what, spreadOf(values), r.limit, r.unit)
	}
}

// judge adds a line and says whether its limit was kept. Without a value, it adds none.
func (t *table) judge(what string, s spread, limit float64, unit string) {
	if math.IsNaN(s.median) {
		return
	}
	t.add(what, s.unit(unit))
	verdict := "kept"
	switch {
	case limit == none:
		return
	case s.median > limit:
		verdict = "MISSED"
	}
	progress("%s: %s, limit %s%s: %s", what, s.unit(unit), number(limit), unit, verdict)
}

// print writes the table as Markdown, in columns. Without a line below its header, it writes nothing.
func (t table) print(w io.Writer) {
	if len(t) < 2 {
		return
	}
	width := make([]int, len(t[0]))
	for _, line := range t {
		for i, cell := range line {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for n, line := range t {
		for i, cell := range line {
			fmt.Fprintf(w, "| %-*s ", width[i], cell)
		}
		fmt.Fprint(w, "|\n")
		if n == 0 {
			for i := range line {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", width[i]+2))
			}
			fmt.Fprint(w, "|\n")
		}
	}
	fmt.Fprintln(w)
}
