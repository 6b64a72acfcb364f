// Package connection limits the connections of clients to a server. It closes them in a way that lets a client still get
// the response to a request which it has not sent completely.
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

// Set holds the open connections of a server, and limits their number. If there are too many, the least recently used one
// is closed, unless a request on it is being forwarded. If requests are being forwarded on all of them, the new
// connection is closed. So clients that only open connections, or send only requests that are refused, do not keep others
// out. All methods may be called concurrently.
type Set struct {
	limit     int
	lingering *Lingering
	full      func(closed, refused int)

	mu      sync.Mutex // guards the fields below
	open    map[net.Conn]*Conn
	order   list.List     // of the open *Conn: first those that may be closed, the last used one last; then held; then the others
	held    *list.Element // in order; has no Conn
	closed  int           // to make room, since full was last called
	refused int           // new ones, since full was last called
	told    time.Time     // when full was last called
}

// NewSet returns a set of at most limit connections. Those that linger in lingering, which may be nil, count as well, and
// are the first to be closed to make room. full, if it is not nil, is called at most every 10 s when the limit was
// reached, with how many connections were closed to make room and how many new ones were refused.
func NewSet(limit int, lingering *Lingering, full func(closed, refused int)) *Set {
	s := &Set{limit: limit, lingering: lingering, full: full, open: map[net.Conn]*Conn{}}
	s.held = s.order.PushBack(nil)
	return s
}

// Conn is an open connection. A nil *Conn is a connection without a limit. All methods may be called concurrently.
type Conn struct {
	net.Conn
	owner      *Set
	refused    atomic.Int64  // refused requests on it since it was last idle
	forwarding int           // requests on it that are being forwarded; guarded by owner.mu
	place      *list.Element // in owner.order; nil once it is removed; guarded by owner.mu
}

type connKey struct{}

// Watch makes the set limit the connections of a server. It sets ConnContext and ConnState.
func (c *Set) Watch(s *http.Server) {
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c.add(conn))
	}
	s.ConnState = c.noteState
}

// Of returns the connection of the request with this context, or nil.
func Of(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

// add adds a connection after making room for it, or closes it if there is no room.
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

// note counts a connection that is closed because there are too many. It returns what to pass to full, or zeros if it is
// not time for that.
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

// noteState is the server's ConnState. A connection that was hijacked for a websocket stays in the set: see Release.
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

// remove removes a connection from the set. The caller holds mu.
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

// IsFirstRefusal counts a refusal, and reports whether it is the first since the connection was last idle.
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

// Release ends what Hold began. If the connection was hijacked, it is closed by now, and the server reports no state for
// it.
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

// cut closes a connection without TLS's close notification, which waits up to 5 s for a client that does not read.
func (c *Conn) cut() {
	conn := c.belowTLS()
	if c, ok := conn.(*lingeringConn); ok {
		c.closed.Store(true)
		conn = c.Conn // it must not linger
	}
	conn.Close()
}

// NoteWhole notes whether all of the last request was read. If not, the connection lingers when it is closed. Only HTTP/1
// needs this: in HTTP/2, other requests on the connection go on, and something still reads from it when it is closed.
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
