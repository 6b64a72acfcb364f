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

// Limits for lingering connections.
const (
	lingerIdle   = 5 * time.Second  // without receiving a byte
	lingerTime   = 30 * time.Second // in all
	maxLingering = 512              // beyond it, the one that has lingered longest is closed
)

// Lingering holds connections that the server has closed while their clients were still sending. If the socket were closed,
// the kernel would respond to the next byte with a reset, and clients would throw the response away or fail before they
// read it. So the gate closes only its own direction, and keeps reading and discarding until the client closes (RFC 9112,
// section 9.6).
//
// net/http does some of that: it reads up to 256 KiB of a body in order to reuse a connection, and waits 500 ms before it
// closes one with more. But it does neither if the client asked for the connection to be closed, as nginx does by default.
// And it reads nothing while it waits, so a client that sends before it reads gets a reset all the same (golang/go#22209,
// golang/go#51109).
//
// A lingering connection no longer belongs to a request, and what is read from it is discarded, so the rest of a body cannot
// be taken for a request. It costs one goroutine and discardSize bytes.
type Lingering struct {
	limit    int   // connections
	maxBytes int64 // of each connection

	mu    sync.Mutex // guards conns
	conns list.List  // of *lingeringConn, the oldest first
	ended chan struct{}
}

// NewLingering returns a Lingering of up to 512 connections. Each lingers until its client has closed it, has sent
// maxBytes, or has sent nothing for 5 s, and for at most 30 s.
func NewLingering(maxBytes int64) *Lingering { return newLingering(maxLingering, maxBytes) }

func newLingering(limit int, maxBytes int64) *Lingering {
	return &Lingering{limit: limit, maxBytes: maxBytes, ended: make(chan struct{}, 1)}
}

// Listen returns a listener whose connections linger if that is needed.
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

// add makes a connection linger. If there are too many, the oldest is closed.
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
		oldest.Conn.Close() // does not block: there is nothing left to send
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

// lingeringConn is a client's connection that may linger. With TLS, it is the connection below it, so what is discarded
// need not be decrypted.
type lingeringConn struct {
	net.Conn
	lingering *Lingering

	reading atomic.Bool // a Read is waiting for the client
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

// CloseWrite tells the client that nothing more will be sent.
func (c *lingeringConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // as Read
	}
	return c.Close()
}

// Close closes the connection, at once or after it has lingered. It does not block. If a Read is waiting, it must return,
// so the connection does not linger then; when net/http closes after a response, no Read is waiting.
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

// discardSize is the size of each read when discarding, in bytes.
const discardSize = 8 << 10

// discard reads until the client closes, has sent limit bytes, or has used up its time. Then it closes the connection.
func (c *lingeringConn) discard(limit int64) {
	defer c.Conn.Close()
	Discard(c.Conn, c.SetReadDeadline, limit, lingerIdle, lingerTime)
}

// Discard reads and throws away at most limit bytes. It stops when no byte arrives for idle, after inAll at the latest,
// or at any error of r.
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
