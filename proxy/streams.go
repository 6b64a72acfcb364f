package proxy

import (
	"context"
	"errors"
	"sync"
	"time"
)

// streams are the answers that go on: event streams and websockets. The zero value is ready; all
// methods may be called concurrently.
type streams struct {
	mu   sync.Mutex
	open map[*record]struct{}
}

var errRevoked = errors.New("the key does not open the chatflow any more")

// recheckEvery is how often the keys of open streams are looked at again.
const recheckEvery = time.Second

func (s *streams) add(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*record]struct{}{}
	}
	s.open[r] = struct{}{}
}

func (s *streams) remove(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, r)
}

// watch ends the streams that would not be let in any more, until ctx is done: their key was revoked
// or has expired, or their chatflow was closed.
func (s *streams) watch(ctx context.Context, p *Proxy) {
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, r := range s.list() {
			if !Decide(p.store.Snapshot(), r.question, p.now()).Allowed {
				s.cut(r)
			}
		}
	}
}

// cut ends a stream, if it is still open: what its connection does after it is not its own any more.
func (s *streams) cut(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[r]; ok {
		r.cancel(errRevoked)
		r.stopSending()
	}
}

func (s *streams) list() []*record {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*record, 0, len(s.open))
	for r := range s.open {
		list = append(list, r)
	}
	return list
}
