package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
)

// hangingUp is a runner that serves each connection by this function, and closes it.
func hangingUp(t *testing.T, serve func(net.Conn)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return mustURL(t, "http://"+l.Addr().String())
}

// readRequest reads a whole request, and reports whether there was one.
func readRequest(c net.Conn) bool {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, req.Body)
	return true
}
