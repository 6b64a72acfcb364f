package transport

import (
	"sync"
	"time"
)

// pool is the idle connections. The one that was used last is taken first.
type pool struct {
	mu    sync.Mutex // guards what follows
	idle  []*conn
	timer *time.Timer // calls sweep at next; nil until the first connection was idle
	next  time.Time   // zero if nothing is idle
}

// get returns a connection that can be used, or nil.
func (p *pool) get(now time.Time) *conn {
	for {
		c := p.pop()
		if c == nil {
			return nil
		}
		// What arrives on an idle connection is its end, or a response that nobody asked for.
		if now.Before(c.expires) && c.probe.quiet() {
			return c
		}
		c.Close()
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// maxIdle is the largest number of idle connections.
const maxIdle = 512

// put makes a connection idle, or closes it if there are maxIdle.
func (p *pool) put(c *conn) {
	c.expires = time.Now().Add(c.keep)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= maxIdle {
		c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if !p.next.IsZero() && !c.expires.Before(p.next) {
		return
	}
	p.next = c.expires
	if p.timer == nil {
		p.timer = time.AfterFunc(c.keep, p.sweep)
	} else {
		p.timer.Reset(c.keep)
	}
}

// sweep closes the connections that have expired.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	kept := p.idle[:0]
	p.next = time.Time{}
	for _, c := range p.idle {
		if !c.expires.After(now) {
			c.Close()
			continue
		}
		if kept = append(kept, c); p.next.IsZero() || c.expires.Before(p.next) {
			p.next = c.expires
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	if !p.next.IsZero() {
		p.timer.Reset(p.next.Sub(now))
	}
}

func (p *pool) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.Close()
	}
	p.idle = nil
}
