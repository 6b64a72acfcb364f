package proxy

import (
	"context"
	"net"
	"net/url"
	"sync"
	"time"
)

// health is what is known of the runner. It is a metric and a log line, never readiness: a gate that
// is taken out of service because its runner is down cannot even say so.
type health struct {
	mu      sync.Mutex
	state   Upstream
	changed func(Upstream)
}

// Upstream is what is known of the runner.
type Upstream struct {
	Known bool // it was tried at least once
	Up    bool
	Since time.Time
	Err   error // why it is not up
}

func (h *health) get() Upstream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

func (h *health) reached() { h.set(true, nil) }

func (h *health) missed(err error) { h.set(false, err) }

func (h *health) set(up bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state.Known && h.state.Up == up {
		return
	}
	h.state = Upstream{Known: true, Up: up, Since: time.Now(), Err: err}
	if h.changed != nil {
		h.changed(h.state)
	}
}

// probeEvery is how often the runner is tried.
const probeEvery = 10 * time.Second

// probe opens a connection to the runner now and then, until ctx is done.
func (h *health) probe(ctx context.Context, dial dialer, upstream *url.URL) {
	addr := upstream.Host
	if upstream.Port() == "" {
		addr = net.JoinHostPort(upstream.Hostname(), map[string]string{"http": "80", "https": "443"}[upstream.Scheme])
	}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		conn, err := dial(ctx, "tcp", addr)
		switch {
		case err == nil:
			conn.Close()
			h.reached()
		case ctx.Err() == nil:
			h.missed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
