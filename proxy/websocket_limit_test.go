package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestWebsocketNobodyReads has one side of a websocket send without end while the other does not read. The websocket ends
// after writeIdle, and so does its request.
func TestWebsocketNobodyReads(t *testing.T) {
	t.Parallel()
	o := Options{
		Expose: []string{"own"},
		Routes: []*route.Route{{Group: "own", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}},
	}
	for name, clientSends := range map[string]bool{"the client does not read": false, "the upstream does not read": true} {
		t.Run(name, func(t *testing.T) {
			var ended chan struct{} // made in the bubble
			onEachTransport(t, o, func(w http.ResponseWriter, _ *http.Request) {
				conn, in, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer close(ended)
				defer conn.Close()
				fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				if clientSends {
					time.Sleep(writeIdle + 5*time.Second)
					_, _ = io.Copy(io.Discard, in) // to the end, which has come
					return
				}
				for {
					if _, err := conn.Write(make([]byte, 1000)); err != nil {
						return
					}
				}
			}, func(t *testing.T, conn net.Conn) {
				ended = make(chan struct{})
				fmt.Fprintf(conn, "GET /ws/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", bubbleBot, bubbleKey)
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
					t.Fatalf("response = %v, %v, want 101", res, err)
				}
				begin := time.Now()
				if clientSends {
					for err = nil; err == nil; {
						_, err = conn.Write(make([]byte, 1000))
					}
					if took := time.Since(begin); took < writeIdle-2*time.Second || took > writeIdle+7*time.Second { // with TLS's close notification, which takes 5 s
						t.Errorf("the client's connection was closed after %v, want about %v", took, writeIdle)
					}
				}
				<-ended
				if took := time.Since(begin); took > writeIdle+10*time.Second {
					t.Errorf("the upstream's connection was closed after %v, want about %v", took, writeIdle)
				}
			})
		})
	}
}
