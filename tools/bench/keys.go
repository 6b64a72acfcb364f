//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// keyFiles are the key files that are measured: what people write, and what a program writes.
var keyFiles = []struct {
	name     string
	count    int
	limit    float64 // seconds until it applies
	resident float64 // MiB after it
}{
	{"keys.yaml", 100_000, 3, none},
	{"keys.json", 1_000_000, 5, 400},
}

// keys measures what keys cost: large key files that replace a small one under load, a hundred reloads a second, a decision,
// and limits.
func keys(ctx context.Context, o *options, out io.Writer) error {
	count := 0
	for _, f := range keyFiles {
		count = max(count, f.count)
	}
	progress("making %d keys", count)
	l := &keyLab{options: o, gate: flowlatch(flowlatchName, o.binary), keys: newFixture(count)}
	fmt.Fprintf(out, "%s.\n\n", machine())
	var failed []error
	for _, measure := range []func(context.Context) (table, error){l.files, l.storm, l.decisions, l.counting, l.memory} {
		t, err := measure(ctx)
		t.print(out)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// keyLab is what the measurements of keys share.
type keyLab struct {
	*options
	gate *product
	keys *fixture
}

// start starts a gate with few keys in a key file of the given name.
func (l *keyLab) start(ctx context.Context, name string) (*instance, error) {
	dir, err := os.MkdirTemp(l.dir, "keys-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	if err := l.keys.keyFile(fewKeys).write(path); err != nil {
		return nil, err
	}
	return l.gate.start(ctx, l.dir, l.upstream.addr, l.keys, fewKeys, path)
}

// paced is a load of keys that every key file has, at times fixed beforehand: a gate that stalls is charged with all requests that are due meanwhile.
func (i *instance) paced(rate int) load {
	return load{Port: i.Port, Connections: connections, Rate: rate, Requests: i.keys.valid(fewKeys, fewKeys, ""), Status: http.StatusOK, End: responseBody}
}

// files replaces a small key file by a large one.
func (l *keyLab) files(ctx context.Context) (table, error) {
	t := table{{"key file of 10 keys replaced by a large one, 1,000 requests/s", "measured"}}
	var failed []error
	for _, f := range keyFiles {
		large := filepath.Join(l.dir, f.name)
		if err := l.keys.keyFile(f.count).write(large); err != nil {
			return t, err
		}
		info, err := os.Stat(large)
		if err != nil {
			return t, err
		}
		t.add(fmt.Sprintf("%s, %d keys", f.name, f.count), number(float64(info.Size())/(1<<20))+" MiB")
		var turns [][]reading
		for turn := range l.turns {
			progress("%s of %d keys, turn %d of %d", f.name, f.count, turn+1, l.turns)
			readings, err := l.replace(ctx, large, f.count, f.limit, f.resident)
			failed = append(failed, err)
			if readings != nil {
				turns = append(turns, readings)
			}
		}
		t.readings(turns...)
	}
	return t, errors.Join(failed...)
}

// replace measures what it costs to replace a small key file by a large one.
func (l *keyLab) replace(ctx context.Context, large string, count int, limit, maxResident float64) ([]reading, error) {
	i, err := l.start(ctx, filepath.Base(large))
	if err != nil {
		return nil, err
	}
	defer i.close()
	paced := i.paced(1000)
	paced.For = 5 * time.Second
	before, err := send(ctx, i.Dir, paced)
	if err != nil {
		return nil, err
	}
	next := filepath.Join(filepath.Dir(i.KeyFile), "next")
	if err := os.Link(large, next); err != nil { // written before: the gate is measured, not the disk
		return nil, err
	}
	paced.For = 0
	clients, err := startClients(ctx, i.Dir, paced)
	if err != nil {
		return nil, err
	}
	defer clients.end()
	var took time.Duration
	used, err := i.spends(func() error {
		begin := time.Now()
		if err := os.Rename(next, i.KeyFile); err != nil {
			return err
		}
		err := i.wait(ctx, 5*time.Minute, 10*time.Millisecond, "metric with all keys", func() (bool, error) {
			m, err := i.metrics("flowlatch_keys_loaded")
			return m["flowlatch_keys_loaded"] == float64(count), err
		})
		took = time.Since(begin)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, 5*time.Second); err != nil {
		return nil, err
	}
	during, err := finish(ctx, clients)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, time.Minute/2); err != nil { // in which the garbage collector returns memory
		return nil, err
	}
	peak, err := i.resident("VmHWM")
	if err != nil {
		return nil, err
	}
	resident, err := i.resident("VmRSS")
	return []reading{
		{"until it applies", took.Seconds(), limit, " s"},
		{"CPU until then, requests included", used.Seconds(), none, " s"},
		{"requests failed", float64(before.Failed + during.Failed), 0, ""},
		{"requests before, p50", millis(before.P50), none, " ms"},
		{"requests before, p99", millis(before.P99), none, " ms"},
		{"requests until 5 s after it applies, p50", millis(during.P50), none, " ms"},
		{"requests until 5 s after it applies, p99", millis(during.P99), none, " ms"},
		{"requests until 5 s after it applies, slowest", millis(during.Max), none, " ms"},
		{"resident at the most", peak, none, " MiB"},
		{"resident 30 s later", resident, maxResident, " MiB"},
	}, errors.Join(err, before.err("before"), during.err("while the key file is replaced"))
}

// storm changes a small key file a hundred times a second.
func (l *keyLab) storm(ctx context.Context) (t table, err error) {
	const every = 10 * time.Millisecond
	progress("100 reloads a second for %s", l.duration)
	t = table{{fmt.Sprintf("100 reloads a second for %s, 200 requests/s", l.duration), "measured"}}
	i, err := l.start(ctx, "keys.yaml")
	if err != nil {
		return t, err
	}
	defer i.close()
	before, err := i.settle(ctx, nil)
	if err != nil {
		return t, err
	}
	clients, err := startClients(ctx, i.Dir, i.paced(200))
	if err != nil {
		return t, err
	}
	defer clients.end()
	first, err := i.reload()
	if err != nil {
		return t, err
	}
	begin := time.Now()
	changes := uint64(l.duration / every)
	used, err := i.spends(func() error {
		for n := range changes {
			if err := errors.Join(pause(ctx, time.Until(begin.Add(time.Duration(n)*every))), i.rewrite(int(n))); err != nil {
				return err
			}
			if generation, err := i.reload(); err != nil || generation != first+n+1 {
				return fmt.Errorf("generation after %d changes = %d, %w, want %d", n+1, generation, err, first+n+1)
			}
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	took := time.Since(begin).Seconds()
	saw, err := finish(ctx, clients)
	if err != nil {
		return t, err
	}
	after, err := i.settle(ctx, &before)
	t.readings(append([]reading{
		{"reloads a second, each with its generation", float64(changes) / took, none, ""},
		{"CPU of the gate, requests included", 100 * used.Seconds() / took, none, " %"},
		{"requests failed", float64(saw.Failed), 0, ""},
		{"requests, p50", millis(saw.P50), none, " ms"},
		{"requests, p99", millis(saw.P99), none, " ms"},
		{"requests, slowest", millis(saw.Max), none, " ms"},
	}, after.left(before)...))
	return t, errors.Join(err, saw.err("during the reloads"))
}
