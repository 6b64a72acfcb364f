package proxy

import (
	"io"
	"net"
	"time"
)

// hijackedConn is a client's connection that has been hijacked.
type hijackedConn struct {
	net.Conn
	reader io.Reader
	writes writeLimit
}

// Read reads what the client sends.
func (c *hijackedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// Write sends to the client, which may take no longer than writeIdle to read it.
func (c *hijackedConn) Write(p []byte) (int, error) {
	c.writes.arm(c.Conn)
	return c.Conn.Write(p)
}

// CloseWrite tells the client that nothing more will be sent.
func (c *hijackedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// upgradedBody is the connection to the upstream of a websocket. It limits how long the upstream may take to read what is
// written.
type upgradedBody struct {
	upgradedConn
	writes writeLimit
}

// upgradedConn is what package transport returns as the body of a 101 response.
type upgradedConn interface {
	io.ReadWriteCloser
	CloseWrite() error
	SetWriteDeadline(t time.Time) error
}

// Write sends to the upstream.
func (b *upgradedBody) Write(p []byte) (int, error) {
	b.writes.arm(b.upgradedConn)
	return b.upgradedConn.Write(p)
}

// writeLimit sets the deadline for writes to a connection that nothing else writes to.
type writeLimit struct{ set time.Time }

func (l *writeLimit) arm(conn interface{ SetWriteDeadline(t time.Time) error }) {
	if now := time.Now(); now.Sub(l.set) > time.Second { // precise enough, and avoids setting a runtime timer each time
		l.set = now
		_ = conn.SetWriteDeadline(now.Add(writeIdle)) // if it fails, so does the write
	}
}
