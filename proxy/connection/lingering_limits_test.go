package connection

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// halfPipe is an end of a pipe that pretends to close its own direction.
type halfPipe struct{ net.Conn }

func (halfPipe) CloseWrite() error { return nil }

// linger returns the client's end of a connection that the server has just closed, after it has read one byte.
func linger(t *testing.T, l *Lingering) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	conn := &lingeringConn{Conn: halfPipe{server}, lingering: l}
	go func() { _, _ = client.Write([]byte("x")) }()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	return client
}

// TestLingeringHasLimits has clients that go on sending after their connections were closed, each in its own way.
func TestLingeringHasLimits(t *testing.T) {
	t.Parallel()
	const maxBytes = 100_000
	for _, tt := range []struct {
		name     string
		size     int           // of each write
		every    time.Duration // between two writes
		min, max time.Duration // when the connection is closed
	}{
		{"nothing", 0, time.Hour, lingerIdle, lingerIdle},
		{"byte by byte", 1, time.Second, lingerTime, lingerTime + time.Second},
		{"one byte after a while", 1, lingerIdle - time.Second, lingerTime, lingerTime + lingerIdle},
		{"all that is accepted", maxBytes / 10, time.Second, 9 * time.Second, 11 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLingering(10, maxBytes)
				client := linger(t, l)
				begin := time.Now()
				if tt.size == 0 {
					_, _ = client.Read(make([]byte, 1))
				}
				for err := error(nil); tt.size > 0 && err == nil; {
					if _, err = client.Write(make([]byte, tt.size)); err == nil {
						time.Sleep(tt.every)
					}
				}
				if took := time.Since(begin); took < tt.min || took > tt.max {
					t.Errorf("closed after %v, want %v to %v", took, tt.min, tt.max)
				}
				client.Close()
			})
		})
	}
}

// TestLingeringConnectionsAreFew closes more connections than may linger.
func TestLingeringConnectionsAreFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		l := newLingering(limit, 1000)
		var clients []net.Conn
		for range limit + 2 {
			clients = append(clients, linger(t, l))
		}
		for i, c := range clients {
			_, err := c.Write([]byte("y"))
			if lingers := err == nil; lingers != (i >= 2) {
				t.Errorf("connection %d lingers: %t (%v), want that of the last %d alone", i, lingers, err, limit)
			}
			c.Close()
		}
		l.Wait(t.Context())
	})
}

// TestCloseEndsARead closes a connection while something reads from it. The Read must return, as with any connection.
func TestCloseEndsARead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		conn := &lingeringConn{Conn: halfPipe{server}, lingering: newLingering(1, 1000)}
		conn.unread.Store(true)
		ended := make(chan error)
		go func() {
			_, err := io.ReadAll(conn)
			ended <- err
		}()
		synctest.Wait()
		begin := time.Now()
		conn.Close()
		if <-ended == nil || time.Since(begin) > 0 {
			t.Errorf("Read ended after %v without an error, want one at once", time.Since(begin))
		}
		client.Close()
	})
}

// TestLingeringMakesRoom opens client connections when as many as allowed are open or linger. Those that linger are
// closed first.
func TestLingeringMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLingering(10, 1000)
		c := NewSet(3, l, nil)
		first, second := linger(t, l), linger(t, l)
		for i, want := range []string{"both linger", "the second lingers", "none lingers"} {
			client, server := net.Pipe()
			defer client.Close()
			c.add(server)
			_, err1 := first.Write([]byte("y"))
			_, err2 := second.Write([]byte("y"))
			got := map[[2]bool]string{{true, true}: "both linger", {false, true}: "the second lingers", {false, false}: "none lingers"}[[2]bool{err1 == nil, err2 == nil}]
			if got != want {
				t.Errorf("after %d new connections: %s, want that %s", i+1, got, want)
			}
		}
		if n := c.Count(); n != 3 {
			t.Errorf("open connections = %d, want 3", n)
		}
	})
}
