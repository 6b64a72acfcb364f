package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

// TestGivenUpDials gives up dialing at about the time when the connection is established. The server sees a reset, and
// never a normal close, after which this side would keep the port for a minute.
func TestGivenUpDials(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
			ended <- err
		}
	}()
	go func() {
		defer l.Close()
		for range 500 {
			ctx, cancel := context.WithCancel(t.Context())
			go cancel()
			if conn, err := dialUpstream(ctx, "tcp", l.Addr().String()); err == nil {
				_, _ = io.WriteString(conn, "x") // this one was not given up
				conn.Close()
			}
		}
	}()
	for err := range ended {
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("end of a connection that was given up = %v, want a reset", err)
		}
	}
}
