package proxy

import (
	"context"
	"errors"
	"sync"
	"time"
)

// streams are the responses that stay open: event streams and websockets. The zero value is ready. All methods may be
// called concurrently.
type streams struct {
	mu   sync.Mutex
	open map[*exchange]struct{}
}

var errRevoked = errors.New("the key no longer opens the chatflow")

// recheckEvery is how often the keys of open streams are checked again.
const recheckEvery = time.Second

func (x *exchange) beginStream() {
	p := x.proxy
	x.response.stream = true
	p.stats.BeginStream(&x.counted, x.Entry, x.started)
	p.streams.mu.Lock()
	defer p.streams.mu.Unlock()
	if p.streams.open == nil {
		p.streams.open = map[*exchange]struct{}{}
	}
	p.streams.open[x] = struct{}{}
}

func (x *exchange) endStream() {
	s := &x.proxy.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, x)
}

// watch cuts streams that would not be allowed any more, until ctx is done: their key was revoked or has expired, or
// their chatflow was closed.
func (s *streams) watch(ctx context.Context, p *Proxy) {
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, x := range s.list() {
			if !Decide(p.opts.Store.Snapshot(), x.question, p.Now()).Allowed {
				s.cut(x)
			}
		}
	}
}

// cut ends x if it is still open. Once x has ended, its connection may be serving another request and must not be
// touched.
func (s *streams) cut(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[x]; ok {
		x.cancel(errRevoked)
		x.response.abortWrites()
	}
}

func (s *streams) list() []*exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*exchange, 0, len(s.open))
	for x := range s.open {
		list = append(list, x)
	}
	return list
}
