package proxy

import (
	"errors"
	"sync"
	"time"
)

var errUpstreamSlow = errors.New("the upstream did not respond in time")

// responseTimeout cancels a request whose response header does not arrive in time. Time spent waiting for the client's
// body does not count; body.Reader has a limit of its own.
type responseTimeout struct {
	exchange *exchange

	mu    sync.Mutex // guards the fields below
	timer *time.Timer
	over  bool
}

func (t *responseTimeout) start(x *exchange) {
	t.exchange = x
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(x.proxy.opts.UpstreamTimeout, t.check)
}

// check cancels the request if the time is over. If a part of the body arrived meanwhile, it checks again later.
func (t *responseTimeout) check() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.exchange.ctx.Err() != nil {
		return
	}
	left := t.exchange.proxy.opts.UpstreamTimeout - t.exchange.body.Idle()
	if left <= 0 {
		t.exchange.cancel(errUpstreamSlow)
		return
	}
	t.timer.Reset(left)
}

// stop ends the timeout, because the response has begun or never will.
func (t *responseTimeout) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.timer.Stop()
}
