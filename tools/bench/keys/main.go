//go:build bench

// Command keys measures what keys cost the gate: one decision, a key file of a million keys that
// comes into force under load, and a hundred reloads a second. It prints a table.
//
// It builds flowlatch from this tree, runs it as a process of its own on loopback, and plays both the
// callers and the runner. What the figures must be is written beside them; the exit status tells
// only of what must never happen: a failed request, something left over, a data race.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// scale is how much is measured.
type scale struct {
	rounds int           // of each decision
	swaps  int           // of the key file of a million
	keys   int           // in it
	rest   time.Duration // under load after a swap
	storm  time.Duration // of reloads
	rate   int           // requests a second during a swap
	stormy int           // requests a second during the storm
}

func main() {
	var s scale
	flag.IntVar(&s.rounds, "rounds", 7, "how often each decision is measured")
	flag.IntVar(&s.swaps, "swaps", 3, "how often the large key file is put in force")
	flag.IntVar(&s.keys, "keys", 1_000_000, "keys in the large key file")
	flag.DurationVar(&s.rest, "load", 30*time.Second, "how long the load goes on after the large key file is in force")
	flag.DurationVar(&s.storm, "storm", 30*time.Second, "how long the key file is changed 100 times a second")
	flag.IntVar(&s.rate, "rate", 1000, "requests a second while the large key file comes into force")
	flag.IntVar(&s.stormy, "storm-rate", 200, "requests a second during the storm")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: keys [flags] [decision] [swap] [storm]")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, s, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "keys:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s scale, wanted []string) error {
	if len(wanted) == 0 {
		wanted = []string{"decision", "swap", "storm"}
	}
	dir, err := os.MkdirTemp("", "flowlatch-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%s\n\n", machine())
	progress("making %d keys", s.keys)
	f := newFixture(s.keys)
	var errs []error
	for _, name := range wanted {
		var t table
		var err error
		switch name {
		case "decision":
			t, err = decisions(f, s)
		case "swap":
			t, err = swaps(ctx, f, s, dir)
		case "storm":
			t, err = storm(ctx, f, s, dir)
		default:
			return fmt.Errorf("there is no measurement %q; there are decision, swap, storm", name)
		}
		t.print(os.Stdout)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// progress tells whoever waits what is going on, apart from the figures.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "# "+format+"\n", args...) }

// machine says on what the figures were got.
func machine() string {
	model := "unknown CPU"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s/%s", model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// build builds flowlatch as it is shipped, or with the race detector.
func build(ctx context.Context, dir string, race bool) (path string, err error) {
	path = filepath.Join(dir, "flowlatch")
	args, cgo := []string{"build", "-trimpath", "-o", path}, "CGO_ENABLED=0"
	if race {
		path += "-race"
		args, cgo = []string{"build", "-race", "-trimpath", "-o", path}, "CGO_ENABLED=1"
	}
	progress("building flowlatch, race detector %t", race)
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/flowlatch/flowlatch/cmd/flowlatch")...)
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building flowlatch: %w\n%s", err, out)
	}
	return path, nil
}

// table is the figures of one measurement.
type table struct {
	title string
	rows  [][3]string // what, what it must be, what it is
}

func (t *table) add(what, bar, format string, args ...any) {
	t.rows = append(t.rows, [3]string{what, bar, fmt.Sprintf(format, args...)})
}

// print writes the table so that it reads well as it is and as Markdown.
func (t *table) print(w io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	rows := append([][3]string{{t.title, "bar", "measured"}}, t.rows...)
	var width [3]int
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for n, r := range rows {
		fmt.Fprintf(w, "| %-*s | %-*s | %-*s |\n", width[0], r[0], width[1], r[1], width[2], r[2])
		if n == 0 {
			fmt.Fprintf(w, "|%s|%s|%s|\n", dashes(width[0]), dashes(width[1]), dashes(width[2]))
		}
	}
	fmt.Fprintln(w)
}

func dashes(n int) string { return strings.Repeat("-", n+2) }

// verdict says whether a bar is met.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}
