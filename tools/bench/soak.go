//go:build bench

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// How many callers of each kind there are.
const (
	forwarders = 8
	refusals   = 4
	listeners  = 50
	leavers    = 8
)

// mixed is a load of all kinds of requests.
type mixed struct {
	gate *instance
	url  string

	forwarded, refused, streamed, cancelled, reloads, failed atomic.Int64

	mu    sync.Mutex // guards fault
	fault error      // the first
}

// soak puts a mixed load on flowlatch and looks at what it holds before and after.
func soak(ctx context.Context, o *options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "flowlatch-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := o.binary
	if binary == "" {
		if binary, err = build(ctx, dir); err != nil {
			return err
		}
	}
	runner, err := startRunner()
	if err != nil {
		return err
	}
	defer func() { _ = runner.Close() }()
	gate, err := flowlatch("flowlatch", absolute(binary)).start(ctx, dir, newFixture(fewKeys), fewKeys, runner.Addr)
	if err != nil {
		return err
	}
	defer gate.close()
	m := &mixed{gate: gate, url: "http://" + gate.listen}

	progress("warming up")
	if err := m.run(ctx, 5*time.Second); err != nil {
		return err
	}
	before, err := m.atRest(ctx, nil)
	if err != nil {
		return err
	}
	progress("load for %s", o.soak)
	if err := m.run(ctx, o.soak); err != nil {
		return err
	}
	during, err := gate.resident()
	if err != nil {
		return err
	}
	after, err := m.atRest(ctx, &before)
	if err != nil {
		return err
	}
	t := table{{fmt.Sprintf("%s of mixed load", o.soak), "bar", "measured", ""}}
	total := m.forwarded.Load() + m.refused.Load() + m.streamed.Load() + m.cancelled.Load()
	t.add("requests that went wrong", "0", fmt.Sprintf("%d of %d", m.failed.Load(), total), verdict(m.failed.Load() == 0))
	t.add("forwarded, refused, streamed, cancelled", "", fmt.Sprintf("%d, %d, %d, %d", m.forwarded.Load(), m.refused.Load(), m.streamed.Load(), m.cancelled.Load()), "")
	t.add("versions of the key file in force", "one a second", fmt.Sprint(m.reloads.Load()), "")
	t.add("resident at rest before and after, MiB", "no growth", fmt.Sprintf("%s, %s (%s at its end)", number(before.resident), number(after.resident), number(during/1024)),
		verdict(after.resident <= before.resident*1.25+2))
	t.add("goroutines before and after", "none left over", fmt.Sprintf("%.0f, %.0f", before.goroutines, after.goroutines), verdict(after.goroutines <= before.goroutines))
	t.add("descriptors before and after", "none left over", fmt.Sprintf("%d, %d", before.descriptors, after.descriptors), verdict(after.descriptors <= before.descriptors))
	fmt.Fprintf(out, "%s.\n%d callers forwarded, %d refused, %d with event streams, %d that leave before the answer; the key file rewritten every second.\n\n",
		machine(), forwarders, refusals, listeners, leavers)
	t.print(out)
	if m.failed.Load() > 0 {
		return fmt.Errorf("%d requests went wrong, the first: %w", m.failed.Load(), m.fault)
	}
	// Memory is left to whoever reads the table; of these, one for each leak of a busy half minute would be hundreds.
	if after.goroutines > before.goroutines+10 || after.descriptors > before.descriptors+10 {
		return errors.New("goroutines or descriptors are left over")
	}
	return nil
}

// startRunner starts a flow runner whose streams have some events and end, and whose answers to those that leave are slow.
func startRunner() (*http.Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &http.Server{Addr: l.Addr().String(), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
			return
		case strings.Contains(string(body), streamAsked):
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 10 {
				fmt.Fprintf(w, "%s%d%s", eventBegin, i, eventEnd)
				_ = http.NewResponseController(w).Flush() // it fails when the caller has left, which the context tells
				if pause(r.Context(), 100*time.Millisecond) != nil {
					return
				}
			}
			return
		case strings.Contains(string(body), `"slow":true`):
			_ = pause(r.Context(), time.Second) // or until the caller leaves
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answerBody)
	})}
	go func() { _ = s.Serve(l) }() // ends with Close
	return s, nil
}

// run puts all kinds of requests on the gate for a time.
func (m *mixed) run(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	caller := func(n int, done *atomic.Int64, once func(k int) error) {
		for k := range n {
			wg.Go(func() {
				for ctx.Err() == nil {
					done.Add(1)
					if err := once(k); err != nil {
						m.fail(err)
					}
					if pause(ctx, rand.N(10*time.Millisecond)) != nil {
						return
					}
				}
			})
		}
	}
	caller(forwarders, &m.forwarded, func(k int) error {
		return m.ask(context.Background(), client, m.gate.keys.token(k%fewKeys), "", http.StatusOK, answerBody)
	})
	caller(refusals, &m.refused, func(int) error {
		return m.ask(context.Background(), client, keystore.Generate(), "", http.StatusUnauthorized, "")
	})
	caller(listeners, &m.streamed, func(k int) error {
		return m.ask(context.Background(), client, m.gate.keys.token(k%fewKeys), ","+streamAsked, http.StatusOK, eventBegin+"9"+eventEnd)
	})
	caller(leavers, &m.cancelled, func(k int) error {
		ctx, cancel := context.WithTimeout(context.Background(), rand.N(30*time.Millisecond))
		defer cancel()
		more := `,"slow":true`
		if k%2 == 0 {
			more = "," + streamAsked
		}
		err := m.ask(ctx, client, m.gate.keys.token(k%fewKeys), more, http.StatusOK, "")
		if ctx.Err() != nil {
			return nil // as it was meant
		}
		return err
	})
	wg.Go(func() {
		for n := 0; pause(ctx, time.Second) == nil; n++ {
			if err := m.rewrite(n); err != nil {
				m.fail(err)
			}
		}
	})
	wg.Wait()
	if m.gate.over() {
		return errors.New("flowlatch has ended:\n" + m.gate.tail())
	}
	return nil
}

func (m *mixed) fail(err error) {
	m.failed.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault == nil {
		m.fault = err
	}
}

// ask sends a request and wants a status and the end of the answer.
func (m *mixed) ask(ctx context.Context, client *http.Client, token, more string, status int, end string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/api/v1/prediction/"+chatflowOf(0), strings.NewReader(`{"question":"Hello?"`+more+`}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != status || !strings.HasSuffix(string(body), end):
		return fmt.Errorf("answer %d %q, want %d and %q at its end", res.StatusCode, body, status, end)
	}
	return nil
}

// rewrite puts another version of the key file in the place of the one in force. All have the honest callers' keys.
func (m *mixed) rewrite(n int) error {
	path := m.gate.keyFile()
	next := path + ".next"
	if err := m.gate.keys.writeKeyFile(next, fewKeys); err != nil {
		return err
	}
	text, err := os.ReadFile(next)
	if err != nil {
		return err
	}
	extra := fmt.Sprintf("keys:\n  - id: extra-%d\n    sha256: %s\n", n, keystore.DigestOf(keystore.Generate()))
	if err := os.WriteFile(next, []byte(strings.Replace(string(text), "keys:\n", extra, 1)), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// holds is what the gate holds.
type holds struct {
	resident, goroutines float64
	descriptors          int
}

// atRest waits until the gate holds no connection of callers or to the runner, or, if there is something to compare with, no
// more than that, and tells what it holds.
func (m *mixed) atRest(ctx context.Context, before *holds) (h holds, err error) {
	progress("rest")
	if err := pause(ctx, 10*time.Second); err != nil {
		return h, err
	}
	for range 50 {
		metrics, err := m.metrics("go_goroutines", "flowlatch_keys_generation")
		if err != nil {
			return h, err
		}
		m.reloads.Store(int64(metrics["flowlatch_keys_generation"]))
		h.goroutines = metrics["go_goroutines"]
		if h.descriptors, err = m.gate.descriptors(); err != nil {
			return h, err
		}
		if h.resident, err = m.gate.resident(); err != nil {
			return h, err
		}
		h.resident /= 1024
		if before == nil || h.goroutines <= before.goroutines && h.descriptors <= before.descriptors {
			return h, nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return h, err
		}
	}
	return h, nil
}

// metrics reads metrics without labels.
func (m *mixed) metrics(names ...string) (map[string]float64, error) {
	res, err := controlClient.Get("http://" + m.gate.admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	got := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		for _, name := range names {
			if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
				if got[name], err = strconv.ParseFloat(value, 64); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(got) != len(names) {
		return nil, fmt.Errorf("of the metrics %q there are %v", names, got)
	}
	return got, lines.Err()
}
