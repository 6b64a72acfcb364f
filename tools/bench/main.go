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
	"slices"
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
	dir      string // for temporary files, removed in the end
	upstream *upstream
}

// measurements are the subcommands for people, children are those that measurements start.
var (
	measurements = map[string]func(context.Context, *options, io.Writer) error{
		"compare": compare,
		"keys":    keys,
		"limits":  limits,
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
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = fmt.Errorf("%w: %w", cause, err)
	}
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
		return fmt.Errorf("unknown measurement %q, want compare, keys, limits, oracle or soak", name)
	}
	o := options{turns: 3, duration: time.Second, idle: 4000}
	switch {
	case name == "limits":
		o.duration = 600 * time.Millisecond
	case name != "compare":
		o.duration = 30 * time.Second
	case slices.Contains(args, "-quick"):
		o.turns, o.duration, o.idle = 2, 500*time.Millisecond, 1000
	}
	flags := flag.NewFlagSet("bench "+name, flag.ExitOnError)
	flags.Func("bin", "a flowlatch to measure instead of one built from this tree", absolute(&o.binary))
	flags.Func("baseline", "compare, limits: another flowlatch, such as of the commit before a change", absolute(&o.baseline))
	flags.BoolVar(&o.quick, "quick", false, "compare, limits: without nginx, HAProxy and Caddy; compare: with fewer and shorter loads")
	flags.IntVar(&o.turns, "turns", o.turns, "compare, keys, limits: how often each product is started and measured")
	flags.DurationVar(&o.duration, "for", o.duration, "compare, keys, limits, soak: how long each load lasts")
	flags.IntVar(&o.idle, "streams", o.idle, "compare: idle streams")
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
	if o.binary == "" {
		if o.binary, err = build(ctx, o.dir); err != nil {
			return err
		}
	}
	if o.upstream, err = startUpstream(ctx, o.dir); err != nil {
		return err
	}
	defer o.upstream.end()
	return measure(ctx, &o, out)
}

// absolute returns a flag's function that sets a path, which children with another directory can use.
func absolute(to *string) func(string) error {
	return func(path string) (err error) {
		*to, err = filepath.Abs(path)
		return err
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
