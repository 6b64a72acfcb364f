//go:build bench

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// lab is what a comparison needs.
type lab struct {
	*options
	dir      string
	keys     *fixture
	products []*product
	figures  figures
	failed   []error // requests that went wrong, of flowlatch
	faults   table   // and of all
}

// direct stands for callers that ask the upstream itself.
const direct = "direct"

// The times that pass without anything being asked.
const (
	rest    = 5 * time.Second // before memory at rest is looked at
	settle  = time.Second     // before and after streams are opened
	warm    = time.Second     // of load that does not count
	holding = 4 * time.Second // of events
)

// compare measures the products beside one another.
func compare(ctx context.Context, o *options, out io.Writer) error {
	if runtime.NumCPU() < 2 {
		return errors.New("two cores are needed: one for what is measured, one for callers and upstream")
	}
	dir, err := os.MkdirTemp("", "flowlatch-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // nginx's worker is another user
		return err
	}
	l := &lab{options: o, dir: dir, keys: newFixture(manyKeys), figures: figures{}}
	versions, err := l.getProducts(ctx)
	if err != nil {
		return err
	}
	began, busy := time.Now(), machineProcessor()
	turns := 0
	for turn := range o.turns {
		if err = l.turn(ctx, turn); err != nil {
			break
		}
		turns++
	}
	others := othersShare(began, busy)
	if turns > 0 {
		l.report(out, turns, versions, others)
		if o.plot != "" {
			err = errors.Join(err, l.draw(o.plot, turns))
		}
	}
	return errors.Join(append(l.failed, err)...)
}

// getProducts gets and chooses what is measured, and tells the versions.
func (l *lab) getProducts(ctx context.Context) (versions string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	all := []*product{{name: "flowlatch"}}
	if l.other != "" {
		all = append(all, &product{name: "flowlatch-other"})
	}
	all = append(all, &product{name: "nginx"}, &product{name: "HAProxy"}, &product{name: "Caddy"}, httpUtil("httputil-tuned", "tuned", self), httpUtil("httputil", "plain", self))
	if l.products, err = chosen(all, l.only); err != nil {
		return "", err
	}
	programs := []string{"wrk"}
	for _, p := range l.products {
		if name := strings.ToLower(p.name); name == "nginx" || name == "haproxy" {
			programs = append(programs, name)
		}
	}
	if err := fromDistribution(ctx, programs...); err != nil {
		return "", err
	}
	var told []string
	for i, p := range l.products {
		var path string
		switch p.name {
		case "flowlatch":
			if path = l.binary; path == "" {
				if path, err = build(ctx, l.dir); err != nil {
					return "", err
				}
			}
			l.products[i] = flowlatch(p.name, absolute(path))
		case "flowlatch-other":
			l.products[i] = flowlatch(p.name, absolute(l.other))
		case "nginx":
			path, _ = lookPath("nginx")
			l.products[i] = nginx(path)
			told = append(told, "nginx "+version(ctx, path, "-v"))
		case "HAProxy":
			path, _ = lookPath("haproxy")
			l.products[i] = haproxy(path)
			told = append(told, "HAProxy "+version(ctx, path, "-v"))
		case "Caddy":
			if path, err = caddy(ctx, l.cache); err != nil {
				return "", err
			}
			l.products[i] = caddyProduct(path)
			told = append(told, "Caddy "+caddyVersion)
		}
	}
	return strings.Join(append(told, "wrk "+version(ctx, "wrk", "-v")), ", "), nil
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// turn measures every product once, in an order that moves on with each turn.
func (l *lab) turn(ctx context.Context, turn int) error {
	var order []*product
	for i := range l.products {
		order = append(order, l.products[(i+turn)%len(l.products)])
	}
	progress("turn %d of %d: start and rest", turn+1, l.turns)
	if err := l.atRest(ctx, turn, order); err != nil {
		return err
	}
	if err := l.withoutProxy(ctx, turn); err != nil {
		return err
	}
	for _, p := range order {
		progress("turn %d of %d: %s under load", turn+1, l.turns, p.name)
		if err := l.underLoad(ctx, turn, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if l.streams == 0 {
			continue
		}
		progress("turn %d of %d: %s with %d streams", turn+1, l.turns, p.name, l.streams)
		if err := l.withStreams(ctx, turn, p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// atRest starts each product with few keys and with many, and looks at their memory when nothing was asked for a while.
func (l *lab) atRest(ctx context.Context, turn int, order []*product) error {
	up, err := startUpstream(ctx, l.dir)
	if err != nil {
		return err
	}
	defer up.end()
	type resting struct {
		*instance
		figure string
		name   string
	}
	var all []resting
	defer func() {
		for _, r := range all {
			r.close()
		}
	}()
	for _, p := range order {
		for _, kind := range []struct {
			count       int
			rest, ready string
		}{{fewKeys, restFew, readyFew}, {manyKeys, restMany, readyMany}} {
			i, err := p.start(ctx, l.dir, l.keys, kind.count, up.addr)
			if err != nil {
				return err
			}
			all = append(all, resting{i, kind.rest, p.name})
			l.figures.note(turn, kind.ready, p.name, float64(i.ready)/1e6)
		}
	}
	if err := pause(ctx, rest); err != nil {
		return err
	}
	for _, r := range all {
		kib, err := r.resident()
		if err != nil {
			return err
		}
		l.figures.note(turn, r.figure, r.name, kib/1024)
	}
	return nil
}

// withoutProxy measures what callers see of the upstream itself.
func (l *lab) withoutProxy(ctx context.Context, turn int) error {
	up, err := startUpstream(ctx, l.dir)
	if err != nil {
		return err
	}
	defer up.end()
	requests := l.keys.honest(manyKeys, callers, "")
	for _, c := range []int{64, 1} {
		got, err := hammer(ctx, l.dir, up.addr, c, warm, requests)
		if err != nil {
			return err
		}
		if c == 1 {
			l.figures.note(turn, oneP50, direct, got.P50)
			continue
		}
		l.figures.note(turn, rate, direct, got.Requests/got.Duration*1e6)
		l.figures.note(turn, p50, direct, got.P50)
		l.figures.note(turn, p99, direct, got.P99)
	}
	return nil
}

// begin starts a product with many keys before an upstream of its own. end ends both.
func (l *lab) begin(ctx context.Context, p *product) (up *upstream, i *instance, end func(), err error) {
	if up, err = startUpstream(ctx, l.dir); err != nil {
		return nil, nil, nil, err
	}
	if i, err = p.start(ctx, l.dir, l.keys, manyKeys, up.addr); err != nil {
		up.end()
		return nil, nil, nil, err
	}
	return up, i, func() { i.close(); up.end() }, nil
}

// underLoad measures a product while it forwards and refuses.
func (l *lab) underLoad(ctx context.Context, turn int, p *product) error {
	up, i, end, err := l.begin(ctx, p)
	if err != nil {
		return err
	}
	defer end()
	note := func(figure string, v float64) { l.figures.note(turn, figure, p.name, v) }
	honest, wrong := l.keys.honest(i.count, min(callers, i.count), ""), l.keys.wrong(100)

	// measure loads the product and returns what the callers saw and its processor time.
	measure := func(what string, connections int, d time.Duration, requests []string, refused bool) (got load, used time.Duration, err error) {
		before, err := i.processor()
		if err != nil {
			return got, 0, err
		}
		if got, err = hammer(ctx, l.dir, i.listen, connections, d, requests); err != nil {
			return got, 0, err
		}
		l.fault(turn, p, what, got.faults(refused))
		after, err := i.processor()
		return got, after - before, err
	}

	if _, _, err := measure("warm-up", 64, warm, honest, false); err != nil {
		return err
	}
	got, used, err := measure("forwarded", 64, l.duration, honest, false)
	if err != nil {
		return err
	}
	note(cpuForwarded, float64(used.Microseconds())/got.Requests)
	note(rate, got.Requests/got.Duration*1e6)
	note(p50, got.P50)
	note(p99, got.P99)
	note(busy, 100*float64(used.Microseconds())/got.Duration)

	before, err := up.quiet(ctx)
	if err != nil {
		return err
	}
	got, used, err = measure("refused", 64, max(time.Second, l.duration*2/3), wrong, true)
	if err != nil {
		return err
	}
	after, err := up.tally()
	if err != nil {
		return err
	}
	note(cpuRefused, float64(used.Microseconds())/got.Requests)
	note(refusedShare, float64(used.Microseconds())/got.Requests/l.figures.at(turn, cpuForwarded, p.name))
	note(opened, float64(after.Accepted-before.Accepted-1)) // but the question itself
	if n := after.Wrong; n > 0 {
		l.fault(turn, p, "refused", fmt.Errorf("%d requests with a wrong key were forwarded", n))
	}

	if got, _, err = measure("one connection", 1, max(time.Second, l.duration*2/3), honest, false); err != nil {
		return err
	}
	note(oneP50, got.P50)
	note(oneAdded, got.P50-l.figures.at(turn, oneP50, direct))
	kib, err := i.resident()
	note(afterLoad, kib/1024)
	return err
}

// withStreams measures a product while it holds event streams: first silent, then with an event each second.
func (l *lab) withStreams(ctx context.Context, turn int, p *product) error {
	up, i, end, err := l.begin(ctx, p)
	if err != nil {
		return err
	}
	defer end()
	note := func(figure string, v float64) { l.figures.note(turn, figure, p.name, v) }

	if err := pause(ctx, settle); err != nil {
		return err
	}
	before, err := i.resident()
	if err != nil {
		return err
	}
	path := filepath.Join(l.dir, "streams.json")
	text, err := json.Marshal(l.keys.honest(i.count, l.streams, ","+streamAsked))
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	callers, err := start(ctx, coreOfRest, l.dir, "streams", mustSelf(), "streams", i.listen, path)
	if err != nil {
		return err
	}
	defer callers.end()
	err = callers.wait(ctx, 2*time.Minute, 20*time.Millisecond, "open: all streams", func() (bool, error) {
		return strings.HasPrefix(callers.tail(), "listening to "), nil
	})
	if err != nil {
		return err
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	open, err := i.resident()
	if err != nil {
		return err
	}
	note(perStream, (open-before)/float64(l.streams))
	if err := getJSON("http://"+up.addr+"/-/events", &struct{}{}); err != nil {
		return err
	}
	used, err := i.processor()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, holding); err != nil {
		return err
	}
	usedAfter, err := i.processor()
	if err != nil {
		return err
	}
	note(streamCPU, 100*(usedAfter-used).Seconds()/time.Since(began).Seconds())
	if open, err = i.resident(); err != nil {
		return err
	}
	note(perActive, (open-before)/float64(l.streams))
	note(withAll, open/1024)

	_ = callers.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-callers.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	_, said, _ := strings.Cut(callers.tail(), "\n")
	var h held
	if err := json.Unmarshal([]byte(said), &h); err != nil {
		return fmt.Errorf("the callers of the streams said %q: %w", said, err)
	}
	if h.Failed > 0 {
		l.fault(turn, p, "streams", fmt.Errorf("of %d %d failed: %s", l.streams, h.Failed, h.Fault))
	}
	note(latest, h.Late)
	note(gap, h.Gap)
	note(lateP99, h.P99Late)
	return nil
}

// fault keeps that requests went wrong. Only flowlatch's are an error of the run: others' are a finding.
func (l *lab) fault(turn int, p *product, what string, err error) {
	if err == nil {
		return
	}
	progress("%s, %s: %v", p.name, what, err)
	l.faults.add(fmt.Sprint(turn+1), p.name, what, strings.ReplaceAll(err.Error(), "\n", "; "))
	if strings.HasPrefix(p.name, "flowlatch") {
		l.failed = append(l.failed, fmt.Errorf("%s, %s: %w", p.name, what, err))
	}
}

func mustSelf() string {
	self, err := os.Executable()
	if err != nil {
		panic(err) // it was asked before
	}
	return self
}

// machineProcessor returns the processor time that all programs have used, and what the hypervisor kept.
func machineProcessor() (used [2]time.Duration) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return used
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line)
	for i, f := range fields[1:] {
		var n int64
		_, _ = fmt.Sscan(f, &n)
		switch i {
		case 3, 4, 8, 9: // idle, iowait, and guests, which are in user already
		case 7:
			used[1] += time.Duration(n) * 10 * time.Millisecond
		default:
			used[0] += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return used
}

// othersShare returns how much of the machine unrelated programs and the hypervisor used, in cores.
func othersShare(began time.Time, before [2]time.Duration) float64 {
	after := machineProcessor()
	var own time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			own += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return max(0, (after[0]-before[0]+after[1]-before[1]-own).Seconds()/time.Since(began).Seconds())
}
