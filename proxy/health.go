package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

// health is what is known of the upstream. It appears in a metric and a log line, but never affects readiness: a gate
// that is taken out of service because its upstream is down could not even tell clients so.
type health struct {
	changed   func(Health) // called without holding the lock
	responded atomic.Int64 // when the last response began, in nanoseconds since 1970

	mu    sync.Mutex // guards state
	state Health
}

// Health is what is known of the upstream.
type Health struct {
	Known bool // the upstream was tried at least once
	Up    bool
	Since time.Time
	Err   error // the latest reason why it is not up
}

// errNoResponse is why an upstream is not up although it accepts connections.
var errNoResponse = errors.New("the upstream accepts connections and does not respond")

func (h *health) get() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

// reached notes that a response has begun.
func (h *health) reached() {
	h.responded.Store(time.Now().UnixNano())
	h.set(true, nil)
}

// connected notes that a connection was opened. A stopped process accepts connections, too.
func (h *health) connected() {
	if !h.isSilent() {
		h.set(true, nil)
	}
}

// missed notes that no connection could be opened.
func (h *health) missed(err error) { h.set(false, err) }

// timedOut notes that a request got no response within limit. If another request did meanwhile, the upstream is up.
func (h *health) timedOut(limit time.Duration) {
	if h.responded.Load() < time.Now().Add(-limit).UnixNano() {
		h.set(false, fmt.Errorf("%w: a request waited %v for one", errNoResponse, limit))
	}
}

// isSilent reports whether the upstream accepts connections but does not respond.
func (h *health) isSilent() bool { return errors.Is(h.get().Err, errNoResponse) }

func (h *health) set(up bool, err error) {
	h.mu.Lock()
	changed := !h.state.Known || h.state.Up != up
	if changed {
		h.state.Since = time.Now()
	}
	h.state.Known, h.state.Up, h.state.Err = true, up, err
	state := h.state
	h.mu.Unlock()
	if changed {
		h.changed(state)
	}
}

const (
	probeEvery   = 10 * time.Second // how often the upstream is tried
	probeTimeout = 5 * time.Second  // for a response
)

// probeUpstream tries the upstream now and then, until ctx is done.
func (p *Proxy) probeUpstream(ctx context.Context) {
	upstream := p.opts.Upstream
	addr := net.JoinHostPort(upstream.Hostname(), origin.PortOf(upstream))
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		p.tryUpstream(ctx, addr)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tryUpstream opens a connection to the upstream. Only while the upstream does not respond to requests, it sends one,
// too.
func (p *Proxy) tryUpstream(ctx context.Context, addr string) {
	conn, err := p.dial(ctx, "tcp", addr)
	switch {
	case err == nil:
		conn.Close()
		p.health.connected()
	case ctx.Err() == nil:
		p.health.missed(err)
	}
	if err == nil && p.health.isSilent() && p.upstreamResponds(ctx) {
		p.health.reached()
	}
}

// upstreamResponds requests the header of the upstream's root page, and reports whether there is any response.
func (p *Proxy) upstreamResponds(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	page := url.URL{Scheme: p.opts.Upstream.Scheme, Host: p.opts.Upstream.Host, Path: p.opts.Upstream.Path + "/"}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, page.String(), http.NoBody)
	if err != nil {
		return false
	}
	res, err := p.transport.RoundTrip(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return true
}
