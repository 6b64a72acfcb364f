package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
)

// TestAbort gives up requests before the response and in the middle of it. The server sees a reset, so no port stays in
// use on this side.
func TestAbort(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{
		"before the response":        "",
		"in the middle of the body":  "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"in the middle of a trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			received, ended := make(chan struct{}), make(chan error, 1)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				defer conn.Close()
				in := bufio.NewReader(conn)
				_, _ = http.ReadRequest(in)
				_, _ = io.WriteString(conn, begin)
				close(received)
				_, err = in.ReadByte()
				ended <- err
			}()
			tr := &Transport{Dial: (&net.Dialer{}).DialContext}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { <-received; cancel() }()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			res, err := tr.RoundTrip(req)
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error of a request that was given up = %v, want that it was canceled", err)
			}
			if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("end of the connection at the server = %v, want a reset", err)
			}
		})
	}
}
