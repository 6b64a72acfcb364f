package proxy

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultMaxConnections is how many client connections may be open.
const DefaultMaxConnections = 10_000

// maxAdminConnections is how many connections of operators may be open.
const maxAdminConnections = 32

// connections are the open connections of a server, and a limit on their number. A connection too many closes the one
// that was used least recently, unless a request on it is being forwarded; if there is none but those, the new one is
// closed. So whoever only opens connections, or only sends what is refused, does not keep others out.
type connections struct {
	limit int
	full  func(closed, refused int) // tells that the limit was reached; nil to tell nobody

	lingering *lingering // those that are closed and linger: they count, and make room before others; nil for none

	mu       sync.Mutex // guards what follows
	open     map[net.Conn]*clientConn
	closable list.List // of *clientConn, the one that was used last at the end
	closed   int       // to make room, since full was called
	refused  int       // new ones, likewise
	told     time.Time // when full was last called
}

// clientConn is an open connection. A nil *clientConn is one that nobody limits.
type clientConn struct {
	net.Conn
	owner      *connections
	refused    atomic.Int64  // requests on it that were refused, since it was idle
	forwarding int           // requests on it that are being forwarded; guarded by owner.mu
	place      *list.Element // in owner.closable; nil while a request is forwarded, and after the end; likewise
}

type clientConnKey struct{}

// watch has a server's connections limited.
func (c *connections) watch(s *http.Server) {
	c.open = map[net.Conn]*clientConn{}
	before := s.ConnContext
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if before != nil {
			ctx = before(ctx, conn)
		}
		return context.WithValue(ctx, clientConnKey{}, c.add(conn))
	}
	s.ConnState = c.noteState
}

// clientConnOf returns the connection of a request.
func clientConnOf(ctx context.Context) *clientConn {
	c, _ := ctx.Value(clientConnKey{}).(*clientConn)
	return c
}

// add adds a connection and makes room for it, or closes it.
func (c *connections) add(conn net.Conn) *clientConn {
	added := &clientConn{Conn: conn, owner: c}
	c.mu.Lock()
	surplus := added
	if len(c.open) < c.limit {
		surplus = nil
		c.lingering.makeRoom(c.limit - len(c.open) - 1)
	} else if oldest := c.closable.Front(); oldest != nil {
		surplus = oldest.Value.(*clientConn)
		c.remove(surplus)
	}
	if surplus != added {
		c.open[conn] = added
		added.place = c.closable.PushBack(added)
	}
	closed, refused := c.note(surplus, added)
	c.mu.Unlock()
	if surplus != nil {
		surplus.cut()
	}
	if closed+refused > 0 {
		c.full(closed, refused)
	}
	return added
}

// tellEvery is how often full is called.
const tellEvery = 10 * time.Second

// note counts a connection that is closed because there are too many, and returns what to tell.
func (c *connections) note(surplus, added *clientConn) (closed, refused int) {
	switch surplus {
	case nil:
		return 0, 0
	case added:
		c.refused++
	default:
		c.closed++
	}
	if now := time.Now(); c.full != nil && now.Sub(c.told) > tellEvery {
		closed, refused = c.closed, c.refused
		c.closed, c.refused, c.told = 0, 0, now
	}
	return closed, refused
}

// noteState is the ConnState of the server. A connection that was taken over for a websocket stays open: see release.
func (c *connections) noteState(conn net.Conn, state http.ConnState) {
	if state != http.StateIdle && state != http.StateClosed {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.open[conn]
	switch {
	case found == nil:
		return
	case state == http.StateClosed:
		c.remove(found)
		return
	case found.place != nil:
		c.closable.MoveToBack(found.place)
	}
	found.refused.Store(0)
}

// remove forgets a connection.
func (c *connections) remove(conn *clientConn) {
	delete(c.open, conn.Conn)
	if conn.place != nil {
		c.closable.Remove(conn.place)
		conn.place = nil
	}
}

// count returns how many connections are open.
func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// closeAll closes all connections.
func (c *connections) closeAll() {
	c.mu.Lock()
	all := make([]*clientConn, 0, len(c.open))
	for _, conn := range c.open {
		all = append(all, conn)
	}
	c.mu.Unlock()
	for _, conn := range all {
		conn.cut()
	}
}

// metric returns the number of connections as a metric.
func (c *connections) metric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "flowlatch_connections", Help: "Client connections that are open now.",
	}, func() float64 { return float64(c.count()) })
}

// isFirstRefusal counts a refusal, and reports whether it is the first since the connection was idle.
func (c *clientConn) isFirstRefusal() bool { return c.refused.Add(1) == 1 }

// hold keeps a connection from being closed to make room for others.
func (c *clientConn) hold() {
	if c == nil {
		return
	}
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	if c.forwarding++; c.place != nil {
		c.owner.closable.Remove(c.place)
		c.place = nil
	}
}

// release ends what hold began. A connection that was taken over is closed by then, of which the server tells nothing.
func (c *clientConn) release(hijacked bool) {
	if c == nil {
		return
	}
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	c.forwarding--
	switch {
	case hijacked:
		c.owner.remove(c)
	case c.forwarding == 0 && c.owner.open[c.Conn] == c:
		c.place = c.owner.closable.PushBack(c)
	}
}

// cut closes a connection without the goodbye of TLS, which waits for up to 5 s for a client that does not read.
func (c *clientConn) cut() {
	conn := c.Conn
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	if c, ok := conn.(*lingeringConn); ok {
		c.closed.Store(true)
		conn = c.Conn // it must not linger
	}
	conn.Close()
}
