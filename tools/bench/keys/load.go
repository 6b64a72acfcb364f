//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const answerBody = `{"text":"hello"}`

// runner stands in for Flowise: it reads what it is sent and answers at once.
type runner struct {
	url    string
	server *http.Server
}

func startRunner() (*runner, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &runner{url: "http://" + l.Addr().String(), server: &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, answerBody)
		}),
	}}
	go func() { _ = r.server.Serve(l) }() // ends with Close
	return r, nil
}

func (r *runner) close() { _ = r.server.Close() }

// target is what a caller asks and with which key.
type target struct{ chatflow, token string }

// load sends requests at times fixed beforehand, whatever becomes of those before: a gate that
// stalls is charged with every request that was due meanwhile, as its callers would.
type load struct {
	url     string
	targets []target
	rate    int // a second
	client  *http.Client
	stop    chan struct{}
	done    chan struct{}

	mu   sync.Mutex // guards what follows
	sent []sent
}

// sent is one request.
type sent struct {
	due  time.Time
	late time.Duration // how long after it was due this program began it; part of took
	took time.Duration // from when it was due to the last byte of its answer
	err  error
}

// maxOpen is how many requests may be open. One more is not sent and counts as failed.
const maxOpen = 5000

func startLoad(url string, rate int, targets []target) *load {
	l := &load{
		url: url, targets: targets, rate: rate, stop: make(chan struct{}), done: make(chan struct{}),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			MaxIdleConnsPerHost: maxOpen, IdleConnTimeout: time.Minute,
		}},
	}
	go l.run()
	return l
}

func (l *load) run() {
	defer close(l.done)
	var open sync.WaitGroup
	defer open.Wait()
	places := make(chan struct{}, maxOpen)
	every := time.Second / time.Duration(l.rate)
	timer := time.NewTimer(0)
	defer timer.Stop()
	begin := time.Now()
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(i) * every)
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-l.stop:
				return
			}
		}
		select {
		case <-l.stop:
			return
		case places <- struct{}{}:
		default:
			l.note(sent{due: due, err: fmt.Errorf("%d requests are open", maxOpen)})
			continue
		}
		open.Go(func() {
			late := time.Since(due)
			err := l.send(l.targets[i%len(l.targets)])
			l.note(sent{due: due, late: late, took: time.Since(due), err: err})
			<-places
		})
	}
}

func (l *load) note(s sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, s)
}

func (l *load) send(t target) error {
	req, err := http.NewRequest(http.MethodPost, l.url+"/api/v1/prediction/"+t.chatflow, strings.NewReader(`{"question":"Hello?"}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+t.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK || string(body) != answerBody:
		return fmt.Errorf("answer %d %q", res.StatusCode, body)
	}
	return nil
}

// end stops the load, waits for what is open, closes the connections and returns what was sent.
func (l *load) end() []sent {
	close(l.stop)
	<-l.done
	l.client.CloseIdleConnections()
	return l.sent
}

// summary is what became of some requests.
type summary struct {
	count, failed             int
	p50, p99, slowest, latest time.Duration
	err                       error // the first
}

// summarize looks at the requests that were due from one time to another.
func summarize(all []sent, from, to time.Time) summary {
	var s summary
	var took []time.Duration
	for _, r := range all {
		if r.due.Before(from) || !r.due.Before(to) {
			continue
		}
		s.count++
		s.latest = max(s.latest, r.late)
		took = append(took, r.took)
		if r.err != nil {
			s.failed++
			if s.err == nil {
				s.err = r.err
			}
		}
	}
	if s.count > 0 {
		slices.Sort(took)
		s.p50, s.p99, s.slowest = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	}
	return s
}

// wait waits until a condition holds, the time is up or ctx is done.
func wait(ctx context.Context, within, every time.Duration, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("within %s: no %s", within, what))
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := holds()
		if ok || errors.Is(err, errGone) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
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
