package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestStrayResponseIsNotLogged has an upstream send bytes after its response. By default, net/http writes the first of
// them to the log of the process. They may be part of a client's response, so they must not be logged.
func TestStrayResponseIsNotLogged(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ended := make(chan struct{}, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				req, err := http.ReadRequest(in)
				if err != nil { // the gate only checked whether the upstream is there
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}stray-response")
				_, _ = in.ReadByte() // until the gate closes the connection
				ended <- struct{}{}
			}()
		}
	}()
	g := startGateWith(t, testkit.Options{Upstream: "http://" + l.Addr().String()})
	for range 3 {
		if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK || res.body != "{}" {
			t.Fatalf("predict = %d %q, want 200 {}", res.status, res.body)
		}
		<-ended // the gate has seen the stray bytes
	}
	g.WantExit(t, syscall.SIGTERM)
	if log := g.Stderr.String(); strings.Contains(log, "stray-response") {
		t.Errorf("the log has a part of the upstream's response:\n%s", log)
	}
	g.Log(t) // every line is a JSON object
}
