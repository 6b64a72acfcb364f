//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// node is a runner as Node makes it. It prints its address.
const node = `
const [seconds, announce] = process.argv.slice(2)
const server = require('http').createServer((req, res) => {
  req.resume()
  req.on('end', () => {
    if (announce === 'no') res.setHeader('Connection', 'keep-alive') // or Node adds Keep-Alive: timeout=N
    res.setHeader('Content-Type', 'application/json')
    res.end('{"text":"hello"}')
  })
})
server.keepAliveTimeout = seconds * 1000
server.listen(0, '127.0.0.1', 8192, () => console.log('listening on 127.0.0.1:' + server.address().port))
`

// together is how many connections idle at a time.
const together = 100

// keepalive has connections to a Node runner idle until just before it closes them, and sends a POST then.
// A POST may not be sent twice, so a proxy that uses such a connection has nothing to answer but 502.
func keepalive(ctx context.Context, o *options, out io.Writer) error {
	if _, err := lookPath("node"); err != nil {
		return errors.New("there is no node; Debian has it in nodejs")
	}
	dir, err := os.MkdirTemp("", "flowlatch-keepalive-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	l := &lab{options: o, dir: dir, keys: newFixture(fewKeys)}
	versions, err := l.getProducts(ctx)
	if err != nil {
		return err
	}
	program := filepath.Join(dir, "node.js")
	if err := os.WriteFile(program, []byte(node), 0o600); err != nil {
		return err
	}
	kinds := []struct {
		name string
		args []string
	}{
		{"5 s, Node's default", []string{"5", "yes"}},
		{"2 s", []string{"2", "yes"}},
		{"5 s, not announced", []string{"5", "no"}},
	}
	head := []string{"failed POSTs of " + fmt.Sprint(o.rounds*together) + ", keepAliveTimeout:"}
	for _, p := range l.products {
		head = append(head, p.name)
	}
	t := table{append(head, "closes after")}
	var mine error
	for _, kind := range kinds {
		progress("Node with a keepAliveTimeout of %s, %d rounds", kind.name, o.rounds)
		line, failed, err := l.race(ctx, append([]string{"node", program}, kind.args...))
		if err != nil {
			return err
		}
		t.add(append([]string{kind.name}, line...)...)
		if failed > 0 {
			mine = errors.Join(mine, fmt.Errorf("%s: %d requests through flowlatch failed", kind.name, failed))
		}
	}
	fmt.Fprintf(out, "%s; %s, Node %s.\n", machine(), versions, version(ctx, "node", "--version"))
	fmt.Fprintf(out, "%d rounds of %d connections at a time that idle to within %s of the moment at which Node closes them.\n\n", o.rounds, together, o.tolerance)
	t.print(out)
	return mine
}

// race counts the failures of each product before a runner of one kind, all of them at the same time.
func (l *lab) race(ctx context.Context, runner []string) (line []string, mine int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	failures := make([]map[string]int, len(l.products))
	errs := make([]error, len(l.products)+1)
	var closes time.Duration
	for n, p := range l.products {
		dir, err := os.MkdirTemp(l.dir, "node-")
		if err != nil {
			return nil, 0, err
		}
		child, err := start(ctx, anyCore, dir, "node", runner...) // one each: they do not share a turn of its loop
		if err != nil {
			return nil, 0, err
		}
		defer child.end()
		var addr string
		err = child.wait(ctx, time.Minute, 10*time.Millisecond, "listening: node", func() (bool, error) {
			var ok bool
			_, addr, ok = strings.Cut(strings.TrimSpace(child.tail()), "listening on ")
			return ok, nil
		})
		if err != nil {
			return nil, 0, err
		}
		if n == 0 {
			if closes, err = closesAfter(ctx, addr); err != nil {
				return nil, 0, err
			}
		}
		i, err := p.start(ctx, dir, l.keys, fewKeys, addr)
		if err != nil {
			return nil, 0, err
		}
		defer i.close()
		wg.Go(func() { failures[n], errs[n] = i.raceWith(ctx, closes, l.rounds, l.tolerance) })
	}
	wg.Wait()
	for n, p := range l.products {
		sum, kinds := 0, []string{}
		for what, count := range failures[n] {
			sum += count
			kinds = append(kinds, fmt.Sprintf("%d× %s", count, what))
		}
		slices.Sort(kinds)
		cell := fmt.Sprint(sum)
		if sum > 0 {
			cell += " (" + strings.Join(kinds, ", ") + ")"
		}
		line = append(line, cell)
		if p.name == "flowlatch" {
			mine = sum
		}
	}
	return append(line, fmt.Sprintf("%.2f s", closes.Seconds())), mine, errors.Join(errs...)
}

// closesAfter returns how long after an answer the runner closes an idle connection.
func closesAfter(ctx context.Context, addr string) (time.Duration, error) {
	var times []time.Duration
	var mu sync.Mutex // guards times and failed
	var failed error
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			took, err := closeOnce(ctx, addr)
			mu.Lock()
			defer mu.Unlock()
			times, failed = append(times, took), errors.Join(failed, err)
		})
	}
	wg.Wait()
	slices.Sort(times)
	return times[len(times)/2], failed
}

func closeOnce(ctx context.Context, addr string) (time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := io.WriteString(conn, post(chatflowOf(0), "none", "")); err != nil {
		return 0, err
	}
	buffer := make([]byte, 4096)
	if _, err := conn.Read(buffer); err != nil {
		return 0, err
	}
	begin := time.Now()
	_ = conn.SetReadDeadline(begin.Add(time.Minute))
	if n, err := conn.Read(buffer); !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("the runner sent %q, %w, and did not close", buffer[:n], err)
	}
	return time.Since(begin), nil
}

// raceWith sends POSTs at the time at which the connections that were used by those before are closed.
func (i *instance) raceWith(ctx context.Context, closes time.Duration, rounds int, near time.Duration) (map[string]int, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * together}}
	defer client.CloseIdleConnections()
	failures := map[string]int{}
	var mu sync.Mutex // guards failures
	send := func(ctx context.Context, k int) {
		what := i.send(ctx, client, k)
		if what == "" || ctx.Err() != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		failures[what]++
	}
	for range rounds {
		var first, second sync.WaitGroup
		answered := make([]time.Time, together)
		for k := range together {
			first.Go(func() { // opens a connection each, as they are all at once
				send(ctx, k)
				answered[k] = time.Now()
			})
		}
		first.Wait()
		slices.SortFunc(answered, time.Time.Compare)
		idle := answered[together/2]
		for k := range together {
			due := idle.Add(closes - near + time.Duration(rand.Int64N(int64(near)+int64(near)/3)))
			second.Go(func() {
				if pause(ctx, time.Until(due)) == nil {
					send(ctx, k)
				}
			})
		}
		second.Wait()
		if ctx.Err() != nil {
			return failures, ctx.Err()
		}
	}
	return failures, nil
}

// send sends a POST with key k and returns what is wrong with the answer.
func (i *instance) send(ctx context.Context, client *http.Client, k int) string {
	k %= i.count
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+i.listen+"/api/v1/prediction/"+chatflowOf(k), strings.NewReader(`{"question":"Hello?"}`))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+i.keys.token(k))
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return "no answer"
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case res.StatusCode != http.StatusOK:
		return fmt.Sprint(res.StatusCode)
	case err != nil || string(body) != answerBody:
		return "broken answer"
	}
	return ""
}
