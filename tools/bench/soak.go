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

	"github.com/flowlatch/flowlatch/keystore"
)

// soak sends flowlatch a load of all kinds while its key file changes every second, and looks at what it holds before and after.
func soak(ctx context.Context, o *options, out io.Writer) error {
	keys := newFixture(fewKeys)
	i, err := flowlatch(flowlatchName, o.binary).start(ctx, o.dir, o.upstream.addr, keys, fewKeys, "")
	if err != nil {
		return err
	}
	defer i.close()

	progress("warm-up and rest")
	if _, err := i.mixed(ctx, 5*time.Second); err != nil {
		return err
	}
	before, err := i.settle(ctx, nil)
	if err != nil {
		return err
	}
	progress("load for %s", o.duration)
	t, failed := i.mixed(ctx, o.duration)
	during, err := i.resident("VmRSS")
	if err != nil {
		return errors.Join(failed, err)
	}
	progress("rest")
	after, err := i.settle(ctx, &before)
	if err != nil {
		return errors.Join(failed, err)
	}
	generation, err := i.metrics("flowlatch_keys_generation")
	if err != nil {
		return errors.Join(failed, err)
	}
	t.readings(append([]reading{
		{"versions of the key file", generation["flowlatch_keys_generation"], none, ""},
		{"resident at rest, " + number(before.resident) + " before, " + number(during) + " under load", after.resident, before.resident*1.25 + 2, " MiB"},
	}, after.left(before)...))
	fmt.Fprintf(out, "%s.\n\n", machine())
	t.print(out)
	if after.goroutines > before.goroutines+10 || after.descriptors > before.descriptors+10 { // one for each leak of a busy half minute would be hundreds
		failed = errors.Join(failed, errors.New("goroutines or descriptors are left over"))
	}
	return failed
}

// mixed sends loads of all kinds at once.
func (i *instance) mixed(ctx context.Context, d time.Duration) (t table, err error) {
	brief := load{Connections: 50, Requests: i.keys.valid(fewKeys, fewKeys, askBrief), Events: 11}
	leave := load{Connections: 20, Rate: 300, Leave: 30 * time.Millisecond}
	leave.Requests = append(i.keys.valid(fewKeys, fewKeys, askSlow), brief.Requests...)
	loads := []struct {
		what string
		load
	}{
		{"forwarded", load{Connections: 8, Rate: 900, Requests: i.keys.valid(fewKeys, fewKeys, ""), End: responseBody}},
		{"refused", load{Connections: 4, Rate: 500, Requests: unknown(100), Status: http.StatusUnauthorized}},
		{"event streams of a second, 50 at once", brief},
		{"left before the response", leave},
	}
	t = table{{d.String() + " of mixed load", "measured"}}
	var running []*process
	for _, l := range loads {
		l.Port, l.For = i.Port, d
		if l.Status == 0 {
			l.Status = http.StatusOK
		}
		p, err := startClients(ctx, i.Dir, l.load)
		if err != nil {
			return t, err
		}
		defer p.end()
		running = append(running, p)
	}
	for n, begin := 0, time.Now(); time.Since(begin) < d; n++ {
		if err := errors.Join(pause(ctx, time.Second), i.rewrite(n)); err != nil {
			return t, err
		}
	}
	for n, p := range running {
		if err := p.done(ctx); err != nil {
			return t, err
		}
		saw, err2 := finish(ctx, p)
		err = errors.Join(err, err2, saw.err(loads[n].what))
		t.readings([]reading{{fmt.Sprintf("failed of %d %s", saw.Done+saw.Failed, loads[n].what), float64(saw.Failed), 0, ""}})
	}
	return t, err
}

// rewrite replaces the key file by another with the same keys, and one more.
func (i *instance) rewrite(n int) error {
	next := filepath.Join(i.Dir, "next.yaml")
	if err := i.keys.keyFile(fewKeys, key{ID: fmt.Sprintf("extra-%d", n), SHA256: keystore.DigestOf(keystore.Generate()).String()}).write(next); err != nil {
		return err
	}
	return os.Rename(next, i.KeyFile)
}
