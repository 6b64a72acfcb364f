package transport

import (
	"sync"
	"time"
)

// maxIdle is the largest number of idle connections.
const maxIdle = 512

// sweepInterval is how often expired connections are closed: often enough to be ahead of the server.
const sweepInterval = keepMargin / 2

// pool holds the idle connections. It never closes one while it holds the lock, because closing TLS writes to the
// connection.
type pool struct {
	mu         sync.Mutex // guards the fields below
	idle       []*conn    // the last one is used next
	generation int        // closeAll begins a new one; connections of older ones are not put back
	sweeping   bool       // a call of sweep is scheduled
}

// get returns an idle connection that is usable or, if there is none, nil and the generation for a new one.
func (p *pool) get(now time.Time) (*conn, int) {
	for {
		c, generation := p.pop()
		if c == nil {
			return nil, generation
		}
		// What arrives on an idle connection is either its end or a response that nobody asked for.
		if now.Before(c.expires) && c.probe.quiet() {
			return c, generation
		}
		c.Close()
	}
}

func (p *pool) pop() (c *conn, generation int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil, p.generation
	}
	c = p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return c, p.generation
}

// put makes a connection idle. If it reports false, the connection must be closed.
func (p *pool) put(c *conn) (kept bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.generation != p.generation || len(p.idle) >= maxIdle {
		return false
	}
	c.expires = time.Now().Add(c.keep)
	p.idle = append(p.idle, c)
	if !p.sweeping {
		p.sweeping = true
		time.AfterFunc(sweepInterval, p.sweep)
	}
	return true
}

// sweep closes the expired connections, and runs again later while there are others.
func (p *pool) sweep() {
	now := time.Now()
	p.mu.Lock()
	var expired, kept []*conn
	for _, c := range p.idle {
		if now.Before(c.expires) {
			kept = append(kept, c)
		} else {
			expired = append(expired, c)
		}
	}
	p.idle = kept
	if p.sweeping = len(kept) > 0; p.sweeping {
		time.AfterFunc(sweepInterval, p.sweep)
	}
	p.mu.Unlock()
	closeConns(expired)
}

// closeAll closes the idle connections. Those that are in use or being opened now will not be put back.
func (p *pool) closeAll() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.generation++
	p.mu.Unlock()
	closeConns(idle)
}

func closeConns(conns []*conn) {
	for _, c := range conns {
		c.Close()
	}
}
