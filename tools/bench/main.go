//go:build bench

// Command bench measures what a gate costs beside other proxies that do the same job: nginx, HAProxy,
// Caddy and net/http/httputil, each with a key check before the same upstream, in turns, pinned to one core.
// It prints tables and can write them as Markdown and as a plot.
//
// Everything listens on 127.0.0.1. What a figure must be is written beside it; the exit status tells only
// of what must never happen: a failed request, or something left over.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options is what the flags say.
type options struct {
	turns     int
	duration  time.Duration // of one load
	only      string        // products, comma-separated; empty for all
	streams   int
	binary    string // a flowlatch, or empty to build one
	other     string // a second one to compare with
	cache     string // where what is downloaded stays
	plot      string // file to write, or empty
	markdown  string // file to write, or empty
	versions  string // of Flowise
	soak      time.Duration
	rounds    int           // of the keep-alive race
	tolerance time.Duration // how near to the close a connection is used again
}

// commands are what can be measured, and the children that the measurements start.
var commands = map[string]func(context.Context, *options, io.Writer) error{
	"compare":   compare,
	"keepalive": keepalive,
	"flowise":   flowise,
	"soak":      soak,
	"upstream":  serveUpstream,
	"streams":   holdStreams,
	"httputil":  serveHTTPUtil,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	name, args := "compare", os.Args[1:]
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	command, ok := commands[name]
	if !ok {
		return fmt.Errorf("there is no measurement %q; there are compare, keepalive, flowise, soak", name)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if child[name] {
		return command(ctx, &options{only: strings.Join(args, " ")}, os.Stdout)
	}
	var o options
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	flags.IntVar(&o.turns, "turns", 5, "how often each product is measured")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "how long each load lasts, in whole seconds")
	flags.StringVar(&o.only, "only", "", "names of products, comma-separated, instead of all")
	flags.IntVar(&o.streams, "streams", 4000, "event streams held open; 0 for none")
	flags.StringVar(&o.binary, "bin", os.Getenv("FLOWLATCH_BIN"), "flowlatch to measure ($FLOWLATCH_BIN) instead of one built from this tree")
	flags.StringVar(&o.other, "other", os.Getenv("FLOWLATCH_OTHER"), "another flowlatch ($FLOWLATCH_OTHER) to measure in the same turns, as flowlatch-other")
	flags.StringVar(&o.cache, "cache", cacheDir(), "where downloads stay ($BENCH_CACHE)")
	flags.StringVar(&o.plot, "plot", "", "file to draw the main figures to, as SVG")
	flags.StringVar(&o.markdown, "markdown", "", "file to write the tables to, between its comments <!-- begin "+name+" --> and <!-- end "+name+" -->")
	flags.StringVar(&o.versions, "versions", "3.1.4,2.2.8", "of Flowise, for flowise")
	flags.DurationVar(&o.soak, "for", 30*time.Second, "how long the load of soak lasts")
	flags.IntVar(&o.rounds, "rounds", 25, "of 100 connections each, for keepalive")
	flags.DurationVar(&o.tolerance, "near", 30*time.Millisecond, "how near to the close a connection is used again, for keepalive")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: bench [compare|keepalive|flowise|soak] [flags]")
		flags.PrintDefaults()
	}
	_ = flags.Parse(args) // exits
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is too much", flags.Args())
	}
	o.duration = max(time.Second, o.duration.Round(time.Second))
	if o.turns < 1 || o.rounds < 1 || o.streams < 0 {
		return errors.New("-turns and -rounds are at least 1, -streams at least 0")
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	var report strings.Builder
	err := command(ctx, &o, &report)
	fmt.Print(report.String())
	if ctx.Err() != nil {
		return errors.Join(err, errors.New("stopped by a signal"))
	}
	if o.markdown != "" && report.Len() > 0 {
		err = errors.Join(err, putMarkdown(o.markdown, name, report.String()))
	}
	return err
}

// child are the commands that only the others start.
var child = map[string]bool{"upstream": true, "streams": true, "httputil": true}

// progress tells whoever waits what is going on, apart from the figures.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "# %s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// chosen returns the products that -only names, in the order they have.
func chosen(all []*product, only string) ([]*product, error) {
	if only == "" {
		return all, nil
	}
	want := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		want[strings.ToLower(strings.TrimSpace(name))] = true
	}
	var got []*product
	for _, p := range all {
		if want[strings.ToLower(p.name)] {
			got = append(got, p)
			delete(want, strings.ToLower(p.name))
		}
	}
	if len(want) > 0 {
		return nil, fmt.Errorf("no product is called %q", slices.Sorted(maps.Keys(want)))
	}
	return got, nil
}

// putMarkdown puts a report between the comments of a file that name it, or makes the file.
func putMarkdown(path, name, report string) error {
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->\n"
	section := begin + "\n" + strings.TrimSpace(report) + "\n\n" + end
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return os.WriteFile(path, []byte(section), 0o644)
	}
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s lacks %q or %q", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(path, []byte(before+section+after), 0o644)
}

// pause goes on after a time for which there is nothing to wait but the time itself.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
