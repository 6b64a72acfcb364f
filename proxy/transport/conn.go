package transport

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// conn is a connection to the server.
type conn struct {
	net.Conn
	reader *bufio.Reader
	left   int64 // bytes that may yet be read of an answer's head
	ended  error // why nothing more can be read: a system tells once that a connection was reset, and then of an end

	announced string        // the last Keep-Alive header
	keep      time.Duration // how long the connection may be idle
	expires   time.Time     // while it is idle
	probe     probe
}

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, keep: keepUnannounced}
	c.reader = bufio.NewReaderSize((*headLimit)(c), 2<<10)
	c.probe.init(nc)
	return c
}

// headLimit reads a connection as long as the head of an answer is not too large.
type headLimit conn

func (c *headLimit) Read(p []byte) (int, error) {
	switch {
	case c.ended != nil:
		return 0, c.ended
	case c.left <= 0:
		return 0, errHead
	}
	n, err := c.Conn.Read(p)
	c.left -= int64(n)
	c.ended = err
	return n, err
}

const noLimit = 1<<63 - 1

// How long a connection may be idle. A request that cannot be sent twice must not meet the server's closing:
// this side closes first. Node announces in Keep-Alive (RFC 2068, section 19.7.1.1) after how many
// seconds it does; a server that announces nothing may do it any time.
const (
	keepUnannounced = time.Second
	keepMargin      = time.Second // before the announced end
	keepMost        = 30 * time.Second
)

// announce takes note of how long the server keeps the connection open.
func (c *conn) announce(h http.Header) {
	values := h["Keep-Alive"]
	if len(values) != 1 || values[0] == c.announced {
		return
	}
	c.announced, c.keep = values[0], keepFor(values[0])
}

// keepFor returns how long a connection may be idle whose server said so.
func keepFor(announced string) time.Duration {
	for parameter := range strings.SplitSeq(announced, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if !strings.EqualFold(name, "timeout") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(value, `" `), 10, 31)
		if err != nil {
			return keepUnannounced
		}
		end := time.Duration(seconds) * time.Second
		return min(max(end-keepMargin, end/2), keepMost)
	}
	return keepUnannounced
}

// upgraded is a connection that speaks another protocol after an answer 101.
type upgraded struct {
	*conn
	end func()
}

func (u *upgraded) Read(p []byte) (int, error) { return u.reader.Read(p) }

// CloseWrite says that nothing more will be sent.
func (u *upgraded) CloseWrite() error {
	if c, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close ends the connection.
func (u *upgraded) Close() error {
	u.end()
	return u.Conn.Close()
}
