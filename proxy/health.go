package proxy

import (
	"context"
	"net"
	"net/url"
	"sync"
	"time"
)

// health is what is known of the upstream. It is a metric and a log line, never readiness: a gate that is taken out of
// service because its upstream is down cannot even say so.
type health struct {
	changed func(Health) // called outside of the lock

	mu    sync.Mutex // guards what follows
	state Health
}

// Health is what is known of the upstream.
type Health struct {
	Known bool // it was tried at least once
	Up    bool
	Since time.Time
	Err   error // why it is not up
}

func (h *health) get() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

func (h *health) reached() { h.set(true, nil) }

func (h *health) missed(err error) { h.set(false, err) }

func (h *health) set(up bool, err error) {
	h.mu.Lock()
	changed := !h.state.Known || h.state.Up != up
	if changed {
		h.state = Health{Known: true, Up: up, Since: time.Now(), Err: err}
	}
	state := h.state
	h.mu.Unlock()
	if changed {
		h.changed(state)
	}
}

// probeEvery is how often the upstream is tried.
const probeEvery = 10 * time.Second

// probe opens a connection to the upstream now and then, until ctx is done.
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
