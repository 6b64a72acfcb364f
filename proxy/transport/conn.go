package transport

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxHeader is the largest response header, in bytes, including the interim responses before it.
const maxHeader = 1 << 20

const unlimited = math.MaxInt64

var errHeaderTooLarge = fmt.Errorf("the response header is larger than %d bytes", maxHeader)

// conn is a connection to the server.
type conn struct {
	net.Conn
	reader     *bufio.Reader // reads conn
	headerLeft int64         // how much may still be read of a response header
	readErr    error         // what ended reading; kept because a second read may return EOF after a reset

	generation int           // of the pool, when the connection was opened
	keepAlive  string        // the last Keep-Alive header
	keep       time.Duration // how long the connection may be idle, by that header
	expires    time.Time     // of an idle connection: when it must be closed
	probe      probe         // of the socket
}

// wrapper is a connection over another one, such as a *tls.Conn.
type wrapper interface{ NetConn() net.Conn }

func newConn(nc net.Conn, generation int) *conn {
	c := &conn{Conn: nc, generation: generation, keep: defaultKeep}
	c.reader = bufio.NewReaderSize(c, 1<<10)
	if w, ok := nc.(wrapper); ok {
		nc = w.NetConn()
	}
	c.probe.init(nc)
	return c
}

// abort closes the connection with a reset, since nothing on it is of use any more. After a normal close, this side would
// keep the port for a minute (TIME_WAIT), and clients that give up one request after the other could use up all ports.
func (c *conn) abort() {
	nc := c.Conn
	if w, ok := nc.(wrapper); ok {
		nc = w.NetConn()
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // if it fails, the close below is a normal one
	}
	c.Close()
}

// hasUnread reports whether more than the response was read from the socket: the end of the connection, or bytes that
// belong to no response.
func (c *conn) hasUnread() bool {
	if c.readErr != nil || c.reader.Buffered() > 0 {
		return true
	}
	if _, ok := c.Conn.(wrapper); !ok {
		return false
	}
	// TLS may hold a record that it has not returned yet. With a deadline in the past, Read returns what there is and does
	// not touch the socket. Records for TLS itself, such as session tickets, do not count.
	_ = c.SetReadDeadline(time.Unix(1, 0)) // if it fails, so does Read
	_, err := c.Conn.Read(make([]byte, 1))
	_ = c.SetReadDeadline(time.Time{})
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// Read reads from the server, and not more than headerLeft.
func (c *conn) Read(p []byte) (n int, err error) {
	switch {
	case c.readErr != nil:
		return 0, c.readErr
	case c.headerLeft <= 0:
		return 0, errHeaderTooLarge
	}
	n, c.readErr = c.Conn.Read(p)
	c.headerLeft -= int64(n)
	return n, c.readErr
}

// A connection is closed after it has been idle for some time: a request that must not be sent twice must not cross paths
// with the server's closing of the connection. Node says in the Keep-Alive header (RFC 2068, section 19.7.1.1) after how
// many seconds it closes. A server that does not say may close at any time.
const (
	defaultKeep = time.Second      // without a Keep-Alive timeout
	keepMargin  = time.Second      // how long before the server's timeout
	maxKeep     = 30 * time.Second // whatever the server says
)

// setKeep takes from a response header how long the connection may be idle.
func (c *conn) setKeep(h http.Header) {
	if values := h["Keep-Alive"]; len(values) == 1 && values[0] != c.keepAlive {
		c.keepAlive, c.keep = values[0], keepFor(values[0])
	}
}

// keepFor returns how long a connection with this Keep-Alive header may be idle.
func keepFor(keepAlive string) time.Duration {
	for parameter := range strings.SplitSeq(keepAlive, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if !strings.EqualFold(name, "timeout") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(value, `" `), 10, 31)
		if err != nil {
			return defaultKeep
		}
		timeout := time.Duration(seconds) * time.Second
		return min(max(timeout-keepMargin, timeout/2), maxKeep)
	}
	return defaultKeep
}
