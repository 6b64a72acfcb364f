//go:build bench

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// The figures, by what the table calls them.
const (
	cpuForwarded = "CPU of a forwarded request, µs"
	cpuRefused   = "CPU of a refused request, µs"
	cpuEvent     = "CPU of an event of a stream, µs"
	cpuLarge     = "CPU of a response of 1 MiB, µs"
	latencyOne   = "latency at 1 connection, p50, µs"
	latency50    = "latency at 64 connections, p50, µs"
	latency99    = "latency at 64 connections, p99, µs"
	latencyEvent = "an event, from due to received, p99, µs"
	throughput   = "requests/s, 64 connections"
	restFew      = "resident at rest, 10 keys, MiB"
	restMany     = "resident at rest, 10,000 keys, MiB"
	restAfter    = "resident after the load, MiB"
	perStream    = "resident per idle stream, KiB"
	readyMany    = "start to first response, 10,000 keys, ms"
	binarySize   = "binary, MiB"
)

// allFigures is the order of the tables.
var allFigures = []string{
	cpuForwarded, cpuRefused, cpuEvent, cpuLarge, latencyOne, latency50, latency99, latencyEvent, throughput,
	restFew, restMany, restAfter, perStream, readyMany, binarySize,
}

// bars are what flowlatch must not exceed: a number, or a ratio to another product.
var bars = []struct {
	figure, over string
	limit        float64
	unit         string
}{
	{cpuForwarded, httputilName, 0.90, "×"},
	{cpuRefused, httputilName, 1.15, "×"},
	{latencyOne, httputilName, 0.75, "×"},
	{cpuEvent, baselineName, 1.10, "×"},
	{cpuLarge, baselineName, 1.05, "×"},
	{perStream, "", 48, " KiB"},
	{restFew, "", 16, " MiB"},
	{restMany, "", 32, " MiB"},
	{readyMany, "", 100, " ms"},
	{binarySize, "", 16, " MiB"},
}

// report says whether flowlatch exceeds a limit, and prints the tables: its ratios to the others, and all figures.
func (c *comparison) report(out io.Writer) {
	var limits table
	for _, b := range bars {
		if b.over == "" {
			limits.judge(b.figure, c.figures.of(b.figure, flowlatchName), b.limit, b.unit)
		} else {
			limits.judge(b.figure+", to "+b.over, c.figures.ratio(b.figure, flowlatchName, b.over), b.limit, b.unit)
		}
	}
	ratios, all := table{{"ratio of flowlatch to"}}, table{{"figure"}}
	for n, p := range c.products {
		all[0] = append(all[0], p.name)
		if n > 0 {
			ratios[0] = append(ratios[0], p.name)
		}
	}
	for _, figure := range allFigures {
		ratio, line := []string{figure}, []string{figure}
		for n, p := range c.products {
			line = append(line, c.figures.of(figure, p.name).String())
			if n > 0 {
				ratio = append(ratio, c.figures.ratio(figure, flowlatchName, p.name).String())
			}
		}
		all.add(line...)
		if strings.Join(ratio[1:], "") != "" {
			ratios.add(ratio...)
		}
	}
	ratios.print(out)
	all.print(out)
}

// machineCPU returns the processor time that all programs have used, and that the hypervisor kept.
func machineCPU() time.Duration {
	b, _ := os.ReadFile("/proc/stat") // without it the share of others is zero
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	_, _ = fmt.Sscanf(string(b), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
	return time.Duration(user+nice+system+irq+softirq+steal) * 10 * time.Millisecond
}

// ownCPU returns the processor time of this process and of its children that have ended.
func ownCPU() (own time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			own += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return own
}
