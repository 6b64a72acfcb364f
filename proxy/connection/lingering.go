package connection

import (
	"container/list"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of connections that linger.
const (
	lingerIdle   = 5 * time.Second  // without a byte
	lingerTime   = 30 * time.Second // in all
	maxLingering = 512              // then the one that has lingered for longest is closed
)

// Lingering are connections that the server has closed while their clients were still sending. Had the socket been
// closed, the next byte would be answered by a reset, at which clients throw the response away or fail before they read
// it. So the gate ends only its own direction, reads on and discards, until the client closes (RFC 9112, section 9.6).
//
// net/http does some of that: it reads up to 256 KiB of a body in order to reuse a connection, and waits for 500 ms
// before it closes one with more. It does neither if the client asked to close the connection, as nginx does by default,
// and while it waits it reads nothing, so that a client that sends before it reads is reset all the same
// (golang/go#22209, golang/go#51109).
//
// A connection that lingers belongs to no request any more, and what it reads goes nowhere: the rest of a body cannot be
// taken for a request. It holds one goroutine and discardSize bytes.
type Lingering struct {
	limit    int   // connections
	maxBytes int64 // of each

	mu    sync.Mutex // guards what follows
	conns list.List  // of *lingeringConn, the oldest first
	ended chan struct{}
}

// NewLingering lets up to 512 connections linger, each until its client has closed it, has sent maxBytes, has sent nothing
// for 5 s, or for 30 s in all.
func NewLingering(maxBytes int64) *Lingering { return newLingering(maxLingering, maxBytes) }

func newLingering(limit int, maxBytes int64) *Lingering {
	return &Lingering{limit: limit, maxBytes: maxBytes, ended: make(chan struct{}, 1)}
}

// Listen returns a listener whose connections linger where that is needed.
func (l *Lingering) Listen(inner net.Listener) net.Listener { return &lingeringListener{inner, l} }

type lingeringListener struct {
	net.Listener
	lingering *Lingering
}

func (l *lingeringListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http looks at it
	}
	return &lingeringConn{Conn: c, lingering: l.lingering}, nil
}

// add has a connection linger. If there are too many, the oldest is closed.
func (l *Lingering) add(c *lingeringConn) {
	l.mu.Lock()
	place := l.conns.PushBack(c)
	var oldest *lingeringConn
	if l.conns.Len() > l.limit {
		oldest, _ = l.conns.Remove(l.conns.Front()).(*lingeringConn)
	}
	l.mu.Unlock()
	if oldest != nil {
		oldest.Conn.Close()
	}
	go func() {
		c.discard(l.maxBytes)
		l.mu.Lock()
		l.conns.Remove(place) // does nothing if it was the oldest
		l.mu.Unlock()
		select {
		case l.ended <- struct{}{}:
		default:
		}
	}()
}

// makeRoom closes the oldest connections until no more than limit linger.
func (l *Lingering) makeRoom(limit int) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.conns.Len() > limit {
		oldest, _ := l.conns.Remove(l.conns.Front()).(*lingeringConn)
		oldest.Conn.Close() // does not wait: nothing is left to be sent
	}
}

// Wait waits until no connection lingers, or until ctx is done.
func (l *Lingering) Wait(ctx context.Context) {
	for {
		l.mu.Lock()
		n := l.conns.Len()
		l.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-l.ended:
		case <-ctx.Done():
			return
		}
	}
}

// lingeringConn is a connection of a client, which may linger. Over TLS, it is the one below it: what is discarded need not be decrypted.
type lingeringConn struct {
	net.Conn
	lingering *Lingering

	reading atomic.Bool // a Read is waiting
	unread  atomic.Bool // not all of a request was read
	closed  atomic.Bool
}

// Read reads from the client.
func (c *lingeringConn) Read(p []byte) (int, error) {
	c.reading.Store(true)
	defer c.reading.Store(false)
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(p)
	if n > 0 && !c.unread.Load() {
		c.unread.Store(true) // until the request is known to be whole
	}
	return n, err //nolint:wrapcheck // net/http and crypto/tls look at it
}

// CloseWrite says that nothing more will be sent.
func (c *lingeringConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // as Read
	}
	return c.Close()
}

// Close closes the connection, at once or after it has lingered. It does not wait. A Read that waits must return, so
// then the connection does not linger; net/http has none when it has responded to a request and closes.
func (c *lingeringConn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || c.reading.Load() || !c.unread.Load() || half.CloseWrite() != nil {
		return c.Conn.Close() //nolint:wrapcheck // as Read
	}
	c.lingering.add(c)
	return nil
}

// discardSize is how much is read at once of what is discarded, in bytes.
const discardSize = 8 << 10

// discard reads until the client closes, has sent limit bytes, or has had its time; then it closes the connection.
func (c *lingeringConn) discard(limit int64) {
	defer c.Conn.Close()
	Discard(c.Conn, c.SetReadDeadline, limit, lingerIdle, lingerTime)
}

// Discard reads and throws away at most limit bytes, as long as none is missing for longer than idle, and for no longer
// than in all. An error is nobody's concern.
func Discard(r io.Reader, setDeadline func(time.Time) error, limit int64, idle, inAll time.Duration) {
	p := make([]byte, discardSize)
	over := time.Now().Add(inAll)
	for read := int64(0); read < limit && time.Now().Before(over); {
		deadline := time.Now().Add(idle)
		if deadline.After(over) {
			deadline = over
		}
		_ = setDeadline(deadline) // if it fails, so does Read
		n, err := r.Read(p)
		if err != nil {
			return
		}
		read += int64(n)
	}
}
