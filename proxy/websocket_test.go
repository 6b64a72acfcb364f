package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// withWebsockets opens a route that may switch protocols.
func withWebsockets(o *proxy.Options) {
	o.Routes = []*route.Route{{Group: "run", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}}
	o.Expose = []string{"run"}
}

// TestWebsocketIsPassedWhole has a caller speak before the switch was answered, and say that it has ended before the
// runner does: no byte is lost either way.
func TestWebsocketIsPassedWhole(t *testing.T) {
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nKeep-Alive: timeout=5\r\n\r\nhello, ")
			_ = rw.Flush()
			said, _ := io.ReadAll(rw) // until the caller has ended
			fmt.Fprintf(conn, "you said %q", said)
		}, func(o *proxy.Options) { withWebsockets(o); change(o) })
		conn := g.dial(t)
		fmt.Fprintf(conn, "GET /ws/%s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n%s\r\n\r\nearly", botA, bearerOf(secretA))
		r := bufio.NewReader(conn)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "websocket" || res.Header.Get("Connection") != "Upgrade" {
			t.Fatalf("answer = %v, %v; want a switch to websocket", res, err)
		}
		defer res.Body.Close()
		if got := res.Header.Get("Keep-Alive"); got != "" {
			t.Errorf("Keep-Alive = %q, which is of the other hop", got)
		}
		fmt.Fprint(conn, " and late")
		if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if want := `hello, you said "early and late"`; string(got) != want || err != nil {
			t.Errorf("the runner said %q, %v; want %q", got, err, want)
		}
		eventually(t, "the end of the request", func() bool { return g.admin.Status().OpenRequests == 0 })
	})
}
