package connection_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/flowlatch/flowlatch/proxy/connection"
)

// noted is a connection that notes whether it was closed.
type noted struct {
	net.Conn
	closed bool
}

func (n *noted) Close() error {
	n.closed = true
	return nil
}

// TestWhoMakesRoom opens connections beyond the limit while requests on some are being forwarded. The least recently used
// one is closed, but never one that is held; if all are held, the new one is closed.
func TestWhoMakesRoom(t *testing.T) {
	var server http.Server
	connection.NewSet(2, nil, nil).Watch(&server)
	open := func() (*connection.Conn, *noted) {
		conn := &noted{}
		return connection.Of(server.ConnContext(context.Background(), conn)), conn
	}
	want := func(step string, closed bool, conn *noted) {
		t.Helper()
		if conn.closed != closed {
			t.Errorf("%s: closed = %t, want %t", step, conn.closed, closed)
		}
	}
	a, connA := open()
	b, connB := open()
	a.Hold()
	b.Hold()
	b.Hold()
	_, surplus := open()
	want("new one while all are held", true, surplus)
	b.Release(false)
	_, surplus = open()
	want("new one while one is held once more", true, surplus)
	b.Release(false)
	a.Release(false) // used later than b
	c, connC := open()
	want("least recently used", true, connB)
	a.Hold()
	c.Hold()
	a.Release(false)
	c.Release(false)
	_, _ = open()
	want("least recently used, held again", true, connA)
	want("used last", false, connC)
	b.Hold() // the request ends later than its connection
	b.Release(false)
	_, connE := open()
	want("one that is open, not one that is gone", true, connC)
	want("new one", false, connE)
}
