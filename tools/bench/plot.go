//go:build bench

package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"strings"
)

// panel is one figure of the plot, of which less is better.
type panel struct {
	title, figure string
	bar           float64 // what flowlatch must not exceed; NaN for nothing
}

// The plot's measures, in pixels.
const (
	panelWidth  = 470
	panelGap    = 30
	nameWidth   = 110
	valueWidth  = 70
	lineHeight  = 22
	titleHeight = 34
)

const style = `
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px }
.note { fill: #59636e; font-size: 11px }
.value { font-variant-numeric: tabular-nums }
.other { fill: #9aa4af }
.own { fill: #1a7f64 }
.own-name { font-weight: 600 }
.range { stroke: #1f2328; stroke-width: 1.2 }
.bar { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
	text { fill: #e6edf3 }
	.note { fill: #9198a1 }
	.other { fill: #6e7681 }
	.own { fill: #2ea68a }
	.range { stroke: #e6edf3 }
	.bar { stroke: #f85149 }
}
`

// draw writes the main figures as SVG: medians, ranges, and what flowlatch must not exceed.
func (l *lab) draw(path string, turns int) error {
	median := func(figure, product string) float64 { return l.figures.of(turns, figure, product).median }
	panels := []panel{
		{"CPU per forwarded request, µs", cpuForwarded, math.Min(0.40*median(cpuForwarded, "Caddy"), 3.5*median(cpuForwarded, "nginx"))},
		{"CPU per refused request, µs", cpuRefused, 0.30 * median(cpuForwarded, "flowlatch")},
		{"latency at 1 connection, p50, µs", oneP50, 1.1 * median(oneP50, "nginx")},
		{"latency at 64 connections, p99, µs", p99, math.NaN()},
		{fmt.Sprintf("memory per idle stream at %d, KiB", l.streams), perStream, 40},
		{"memory at rest with 10,000 keys, MiB", restMany, 32},
		{"start to first answer, 10,000 keys, ms", readyMany, 100},
		{"binary, MiB", size, 16},
	}
	height := titleHeight + lineHeight*len(l.products)
	total := (len(panels)+1)/2*(height+panelGap) + panelGap + 20
	width := 2*panelWidth + 3*panelGap
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="flowlatch beside other proxies">`+"\n<style>%s</style>\n",
		width, total, width, total, style)
	for i, p := range panels {
		x, y := panelGap+(i%2)*(panelWidth+panelGap), panelGap/2+(i/2)*(height+panelGap)
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", x, y)
		l.drawPanel(&b, p, turns)
		b.WriteString("</g>\n")
	}
	fmt.Fprintf(&b, `<text class="note" x="%d" y="%d">Less is better. Medians of %d turns, lines: range; dashed: the most that flowlatch may have. %s</text>`+"\n</svg>\n",
		panelGap, total-16, turns, escape(machine()))
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func (l *lab) drawPanel(b *strings.Builder, p panel, turns int) {
	fmt.Fprintf(b, `<text class="title" x="0" y="16">%s</text>`+"\n", escape(p.title))
	most := 0.0
	for _, product := range l.products {
		if s := l.figures.of(turns, p.figure, product.name); !math.IsNaN(s.median) {
			most = math.Max(most, s.high)
		}
	}
	if !math.IsNaN(p.bar) {
		most = math.Max(most, p.bar)
	}
	scale := func(v float64) float64 { return nameWidth + v/most*(panelWidth-nameWidth-valueWidth) }
	y := titleHeight
	for _, product := range l.products {
		s := l.figures.of(turns, p.figure, product.name)
		class, name := "other", "name"
		if product.name == "flowlatch" {
			class, name = "own", "own-name"
		}
		middle := y + lineHeight/2
		fmt.Fprintf(b, `<text class="%s" x="%d" y="%d" text-anchor="end">%s</text>`, name, nameWidth-8, middle, escape(product.name))
		if math.IsNaN(s.median) {
			fmt.Fprintf(b, `<text class="note" x="%d" y="%d">not measured</text>`+"\n", nameWidth+4, middle)
		} else {
			fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, nameWidth, y, math.Max(1, scale(s.median)-nameWidth), lineHeight-7)
			if s.high > s.low {
				at := y + (lineHeight-7)/2
				fmt.Fprintf(b, `<line class="range" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, scale(s.low), scale(s.high), at, at)
			}
			fmt.Fprintf(b, `<text class="value" x="%d" y="%d" text-anchor="end">%s</text>`+"\n", panelWidth, middle, number(s.median))
		}
		y += lineHeight
	}
	if !math.IsNaN(p.bar) {
		fmt.Fprintf(b, `<line class="bar" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", scale(p.bar), scale(p.bar), titleHeight-6, y)
	}
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
