package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// TestStrayAnswerIsNotLogged has a runner send more than its answer has: net/http notes that in the log
// of the whole process, with the first bytes of it, unless it is told otherwise. They are an answer to
// somebody, and no line of this log.
func TestStrayAnswerIsNotLogged(t *testing.T) {
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
				if err != nil { // looked whether somebody is there
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}stray-answer")
				_, _ = in.ReadByte() // until the gate closes it
				ended <- struct{}{}
			}()
		}
	}()
	g := startGate(t, newEcho(), "--upstream", "http://"+l.Addr().String())
	for range 3 {
		if a := g.predict(t, webChatflow, g.web); a.status != http.StatusOK || a.body != "{}" {
			t.Fatalf("predict = %d %q, want 200 and the answer", a.status, a.body)
		}
		<-ended // the gate has seen what is left over
	}
	g.WantExit(t, syscall.SIGTERM)
	if log := g.Stderr.String(); strings.Contains(log, "stray-answer") {
		t.Errorf("the log has the runner's answer in it:\n%s", log)
	}
	g.Log(t) // every line is a JSON object
}
