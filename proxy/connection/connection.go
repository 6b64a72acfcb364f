// Package connection bounds the connections of clients to a server, and closes them so that a client still gets the
// response to a request of which it has not sent all.
package connection

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Set are the open connections of a server, and a limit on their number. A connection too many closes the one
// that was used least recently, unless a request on it is being forwarded; if there is none but those, the new one is
// closed. So whoever only opens connections, or only sends what is refused, does not keep others out. All methods may be
// called concurrently.
type Set struct {
	limit     int
	lingering *Lingering
	full      func(closed, refused int)

	mu      sync.Mutex // guards what follows
	open    map[net.Conn]*Conn
	order   list.List     // of the open *Conn: those that may be closed, the one that was used last at the end, held, the others
	held    *list.Element // in order; has no Conn
	closed  int           // to make room, since full was called
	refused int           // new ones, likewise
	told    time.Time     // when full was last called
}

// NewSet returns a set of at most limit connections. Those that linger, if lingering is not nil, count and make room before
// others. full, if it is not nil, is told every 10 s at most that the limit was reached: how many connections were closed
// to make room, and how many new ones.
func NewSet(limit int, lingering *Lingering, full func(closed, refused int)) *Set {
	s := &Set{limit: limit, lingering: lingering, full: full, open: map[net.Conn]*Conn{}}
	s.held = s.order.PushBack(nil)
	return s
}

// Conn is an open connection. A nil *Conn is one that nobody limits. All methods may be called concurrently.
type Conn struct {
	net.Conn
	owner      *Set
	refused    atomic.Int64  // requests on it that were refused, since it was idle
	forwarding int           // requests on it that are being forwarded; guarded by owner.mu
	place      *list.Element // in owner.order; nil after the end; likewise
}

type connKey struct{}

// Watch has the connections of a server limited. It sets ConnContext and ConnState.
func (c *Set) Watch(s *http.Server) {
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c.add(conn))
	}
	s.ConnState = c.noteState
}

// Of returns the connection of a request by its context, or nil.
func Of(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

// add adds a connection and makes room for it, or closes it.
func (c *Set) add(conn net.Conn) *Conn {
	added := &Conn{Conn: conn, owner: c}
	c.mu.Lock()
	surplus := added
	if len(c.open) < c.limit {
		surplus = nil
		c.lingering.makeRoom(c.limit - len(c.open) - 1)
	} else if oldest := c.order.Front(); oldest != c.held {
		surplus = oldest.Value.(*Conn)
		c.remove(surplus)
	}
	if surplus != added {
		c.open[conn] = added
		added.place = c.order.InsertBefore(added, c.held)
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
func (c *Set) note(surplus, added *Conn) (closed, refused int) {
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

// noteState is the ConnState of the server. A connection that was taken over for a websocket stays open: see Release.
func (c *Set) noteState(conn net.Conn, state http.ConnState) {
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
	case found.forwarding == 0:
		c.order.MoveBefore(found.place, c.held)
	}
	found.refused.Store(0)
}

// remove forgets a connection.
func (c *Set) remove(conn *Conn) {
	delete(c.open, conn.Conn)
	if conn.place != nil {
		c.order.Remove(conn.place)
		conn.place = nil
	}
}

// Count returns how many connections are open.
func (c *Set) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// CloseAll closes all connections.
func (c *Set) CloseAll() {
	c.mu.Lock()
	all := make([]*Conn, 0, len(c.open))
	for _, conn := range c.open {
		all = append(all, conn)
	}
	c.mu.Unlock()
	for _, conn := range all {
		conn.cut()
	}
}

// IsFirstRefusal counts a refusal, and reports whether it is the first since the connection was idle.
func (c *Conn) IsFirstRefusal() bool { return c.refused.Add(1) == 1 }

// Hold keeps a connection from being closed to make room for others.
func (c *Conn) Hold() {
	if c == nil {
		return
	}
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	if c.forwarding++; c.place != nil {
		c.owner.order.MoveToBack(c.place)
	}
}

// Release ends what Hold began. A connection that was taken over is closed by then, of which the server tells nothing.
func (c *Conn) Release(hijacked bool) {
	if c == nil {
		return
	}
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	c.forwarding--
	switch {
	case hijacked:
		c.owner.remove(c)
	case c.forwarding == 0 && c.place != nil:
		c.owner.order.MoveBefore(c.place, c.owner.held)
	}
}

// cut closes a connection without the goodbye of TLS, which waits for up to 5 s for a client that does not read.
func (c *Conn) cut() {
	conn := c.belowTLS()
	if c, ok := conn.(*lingeringConn); ok {
		c.closed.Store(true)
		conn = c.Conn // it must not linger
	}
	conn.Close()
}

// NoteWhole notes whether all of the last request was read: if not, the connection lingers when it is closed. Only HTTP/1
// needs to know: in HTTP/2 the requests of a connection go on, and it is closed while something reads from it.
func (c *Conn) NoteWhole(whole bool) {
	if c == nil {
		return
	}
	if l, ok := c.belowTLS().(*lingeringConn); ok && l.unread.Load() == whole {
		l.unread.Store(!whole)
	}
}

func (c *Conn) belowTLS() net.Conn {
	if secure, ok := c.Conn.(interface{ NetConn() net.Conn }); ok {
		return secure.NetConn()
	}
	return c.Conn
}
