//go:build bench

// Command bench measures what flowlatch costs: beside other proxies that check a key, with many keys, and under a long load. It prints Markdown tables.
//
// Everything listens on 127.0.0.1. A limit that is exceeded is marked in the tables. The exit status is 1 only for what must never happen, such as a
// request that failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options is what the flags say.
type options struct {
	binary   string // a flowlatch; empty means one built from this tree
	baseline string // another one; empty means none
	turns    int
	duration time.Duration // of each load
	idle     int           // streams that are held open
	samples  int           // of each kind of refusal
	quick    bool
	cache    string // directory for what is built once
	dir      string // for temporary files, removed in the end
}

// measurements are the subcommands for people, children are those that measurements start.
var (
	measurements = map[string]func(context.Context, *options, io.Writer) error{
		"compare": compare,
		"keys":    keys,
		"oracle":  oracle,
		"soak":    soak,
	}
	children = map[string]func(context.Context, []string, io.Writer) error{
		"upstream": serveUpstream,
		"clients":  serveClients,
		"httputil": serveHTTPUtil,
	}
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	name := "compare"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if child := children[name]; child != nil {
		return child(ctx, args, out)
	}
	measure := measurements[name]
	if measure == nil {
		return fmt.Errorf("unknown measurement %q, want compare, keys, oracle or soak", name)
	}
	var o options
	flags := flag.NewFlagSet("bench "+name, flag.ExitOnError)
	flags.StringVar(&o.binary, "bin", "", "a flowlatch to measure instead of one built from this tree")
	flags.StringVar(&o.baseline, "baseline", "", "compare: another flowlatch, such as of the commit before a change")
	flags.BoolVar(&o.quick, "quick", false, "compare: in 2 minutes, without nginx, HAProxy and Caddy")
	flags.IntVar(&o.turns, "turns", 0, "compare, keys: how often each product is started and measured (default 3)")
	flags.DurationVar(&o.duration, "for", 0, "how long each load lasts (default of compare: 1s, of soak and keys: 30s)")
	flags.IntVar(&o.idle, "streams", 0, "compare: idle streams (default 4,000)")
	flags.IntVar(&o.samples, "samples", 40_000, "oracle: requests of each kind")
	_ = flags.Parse(args) // exits
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected arguments %q", flags.Args())
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	var err error
	if o.dir, err = os.MkdirTemp("", "flowlatch-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	o.defaults(name)
	return measure(ctx, &o, out)
}

func (o *options) defaults(name string) {
	set := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	turns, duration, idle := 3, time.Second, 4000
	if o.quick {
		turns, duration, idle = 2, 600*time.Millisecond, 1000
	}
	if name != "compare" {
		duration = 30 * time.Second
	}
	set(&o.turns, turns)
	set(&o.idle, idle)
	if o.duration == 0 {
		o.duration = duration
	}
	if cache, err := os.UserCacheDir(); err == nil {
		o.cache = filepath.Join(cache, "flowlatch-bench")
	} else {
		o.cache = o.dir
	}
	for _, path := range []*string{&o.binary, &o.baseline} {
		if abs, err := filepath.Abs(*path); *path != "" && err == nil {
			*path = abs
		}
	}
}

// progress tells whoever waits what is going on, apart from the figures.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "# %s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// raiseFileLimit allows this process and its children as many descriptors as it may.
func raiseFileLimit() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max // Go passes it on to children only if it was set explicitly
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}
