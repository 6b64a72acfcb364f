package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// withWebsockets exposes a route on which a websocket is allowed.
func withWebsockets(o *proxy.Options) {
	o.Routes = []*route.Route{{Group: "run", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}}
	o.Expose = []string{"run"}
}

// hijacked is an upstream that switches to the websocket protocol and then talks over the connection.
func hijacked(talk func(conn *net.TCPConn, rw *bufio.ReadWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Hop\r\nUpgrade: websocket\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-Request-Id: upstream\r\n\r\n")
		talk(conn.(*net.TCPConn), rw)
	}
}

// websocket asks for a websocket, and sends more bytes together with the request.
func (g *gate) websocket(t *testing.T, more string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	conn := g.dial(t)
	fmt.Fprintf(conn, "GET /ws/%s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n%s\r\n\r\n%s", botA, bearerOf(secretA), more)
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("response = %v, %v, want 101", res, err)
	}
	h := res.Header
	if h.Get("Upgrade") != "websocket" || h.Get("Connection") != "Upgrade" || h.Get("Keep-Alive")+h.Get("X-Hop") != "" || len(h["X-Request-Id"]) != 1 || h.Get("X-Request-Id") == "upstream" {
		t.Errorf("header of the 101 = %v, want a switch to websocket, a request ID, and nothing of the other hop", h)
	}
	return conn.(*net.TCPConn), r
}

// TestWebsocket sends words back and forth.
func TestWebsocket(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		echo := hijacked(func(conn *net.TCPConn, rw *bufio.ReadWriter) { _, _ = io.Copy(conn, rw) })
		g := newGate(t, echo, func(o *proxy.Options) { withWebsockets(o); change(o) })
		conn, r := g.websocket(t, "")
		for _, word := range []string{"one\n", "two\n"} {
			fmt.Fprint(conn, word)
			if got, err := r.ReadString('\n'); got != word {
				t.Fatalf("echo = %q, %v, want %q", got, err, word)
			}
		}
	})
}

// TestWebsocketLosesNothing: bytes that a client sends together with its request pass, and so does everything that one
// side sends after the other has closed its half of the connection.
func TestWebsocketLosesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		upstream func(conn *net.TCPConn, rw *bufio.ReadWriter, sent chan<- string) // sent gets what the client sent, up to its end
		client   func(conn *net.TCPConn)
	}{
		"the client closes first": {func(conn *net.TCPConn, rw *bufio.ReadWriter, sent chan<- string) {
			all, _ := io.ReadAll(rw)
			sent <- string(all)
			fmt.Fprint(conn, "of the upstream")
		}, func(conn *net.TCPConn) {
			fmt.Fprint(conn, " and late")
			_ = conn.CloseWrite()
		}},
		"the upstream closes first": {func(conn *net.TCPConn, rw *bufio.ReadWriter, sent chan<- string) {
			fmt.Fprint(conn, "of the upstream")
			_ = conn.CloseWrite()
			all, _ := io.ReadAll(rw)
			sent <- string(all)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				sent := make(chan string, 1)
				upstream := hijacked(func(conn *net.TCPConn, rw *bufio.ReadWriter) { tt.upstream(conn, rw, sent) })
				g := newGate(t, upstream, func(o *proxy.Options) { withWebsockets(o); change(o) })
				conn, r := g.websocket(t, "early")
				if tt.client != nil {
					tt.client(conn)
				}
				if got, err := io.ReadAll(r); string(got) != "of the upstream" || err != nil { // up to the end of its half
					t.Errorf("bytes of the upstream = %q, %v, want all", got, err)
				}
				if tt.client == nil {
					fmt.Fprint(conn, " and late")
					_ = conn.CloseWrite()
				}
				if got, want := <-sent, "early and late"; got != want {
					t.Errorf("bytes of the client = %q, want %q", got, want)
				}
				conn.Close()
				testkit.Eventually(t, "end of the request", func() bool { return g.open() == 0 })
			})
		})
	}
}

// TestNoWebsocketWithoutKey asks for a websocket in the form of a preflight, which needs no key, while the upstream
// switches protocols unasked.
func TestNoWebsocketWithoutKey(t *testing.T) {
	t.Parallel()
	g := newGate(t, hijacked(func(*net.TCPConn, *bufio.ReadWriter) {}), withWebsockets)
	preflight := []string{"Origin: x", "Access-Control-Request-Method: GET"}
	res := g.request(t, "OPTIONS", "/ws/"+unlisted, "", append(preflight, "Upgrade: websocket")...)
	checkProblem(t, res, 400, problem.BadRequest)
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("%d requests reached the upstream, want 0", n)
	}
	res = g.request(t, "OPTIONS", "/ws/"+botA, "", preflight...)
	checkProblem(t, res, 502, problem.UpstreamUnreachable)
	res = g.request(t, "GET", "/ws/"+botA, "", bearerOf(secretA))
	checkProblem(t, res, 502, problem.UpstreamUnreachable)
}

// TestUpgrades asks for upgrades to other protocols. None of the headers for that may reach the upstream.
func TestUpgrades(t *testing.T) {
	t.Parallel()
	routes := func(o *proxy.Options) {
		o.Routes = []*route.Route{
			{Group: "run", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true},
			{Group: "run", Methods: []string{"GET"}, Path: "/plain/{chatflow}"},
		}
		o.Expose = []string{"run"}
	}
	for name, upgrade := range map[string][]string{
		"h2c":                 {"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"},
		"h2c in upper case":   {"Upgrade: H2C", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: upgrade, http2-settings"},
		"h2c, not announced":  {"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		"only the settings":   {"HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: HTTP2-Settings"},
		"websocket and h2c":   {"Upgrade: websocket, h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"},
		"h2c and websocket":   {"Upgrade: h2c, websocket", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"},
		"in two headers":      {"Upgrade: websocket", "Upgrade: h2c", "Connection: Upgrade"},
		"TLS":                 {"Upgrade: TLS/1.0", "Connection: Upgrade"},
		"TLS and HTTP":        {"Upgrade: TLS/1.2, HTTP/1.1", "Connection: Upgrade"},
		"HTTP/2.0":            {"Upgrade: HTTP/2.0", "Connection: Upgrade"},
		"websocket, version":  {"Upgrade: websocket/13", "Connection: Upgrade"},
		"connect-udp":         {"Upgrade: connect-udp", "Connection: Upgrade", "Capsule-Protocol: ?1"},
		"not printable":       {"Upgrade: \x80", "Connection: Upgrade"},
		"and not printable":   {"Upgrade: websocket, \x80", "Connection: Upgrade"},
		"two, not printable":  {"Upgrade: \x80", "Upgrade: websocket", "Connection: Upgrade"},
		"name with underline": {"Http2_Settings: AAMAAABkAAQAAP__", "Connection: Upgrade"},
	} {
		for _, path := range []string{"/ws/", "/plain/"} {
			t.Run(name+" "+path, func(t *testing.T) {
				upstream := newRawUpstream(t)
				g := newGate(t, nil, func(o *proxy.Options) { routes(o); upstream.use(o) })
				res := g.request(t, "GET", path+botA, "", append(upgrade, bearerOf(secretA))...)
				requests := upstream.received(t)
				if res.status != 200 || len(requests) != 1 {
					t.Fatalf("response = %d, %d requests at the upstream; want 200, 1", res.status, len(requests))
				}
				header := strings.ToLower(requests[0].header)
				for _, word := range []string{"upgrade", "http2", "connection", "h2c", "aamaaa", "tls"} {
					if strings.Contains(header, word) {
						t.Errorf("header at the upstream = %q, want no %q in it", header, word)
					}
				}
			})
		}
	}
}

// TestWebsocketWithABody: bytes of a body could be taken for bytes of the websocket, so the request is refused.
func TestWebsocketWithABody(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, func(o *proxy.Options) {
		o.Routes = slices.Concat(route.Flowise().Routes, []*route.Route{{Group: "own", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}})
		o.Expose = []string{"own"}
	})
	header := fmt.Sprintf("GET /ws/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", botA, bearerOf(secretA))
	for _, body := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"} {
		checkProblem(t, g.raw(t, header+body), 400, problem.BadRequest)
	}
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("%d requests reached the upstream, want none", n)
	}
}

// TestDrainClosesUnreadWebsocket has a client that does not read what its upstream sends without end.
func TestDrainClosesUnreadWebsocket(t *testing.T) {
	t.Parallel()
	flood := hijacked(func(conn *net.TCPConn, _ *bufio.ReadWriter) { _, _ = io.Copy(conn, zeros{}) })
	s := serveGateWith(t, flood, 10*time.Millisecond, withWebsockets)
	conn, _ := s.websocket(t, "")
	defer conn.Close()
	s.stop()
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	testkit.Eventually(t, "log line of the websocket", func() bool { return strings.Contains(s.log.String(), `"status":101`) })
}

// TestUpgradeOfHTTP10 asks for a websocket in HTTP/1.0, which has no upgrades. It is treated like any other request.
func TestUpgradeOfHTTP10(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "" {
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	}, func(o *proxy.Options) {
		withWebsockets(o)
		withKeys(t, "version: 1\nkeys: [{id: k, secret: "+secretA+"}]\nchatflows: [{id: "+botA+", keys: [k], body: {json_only: true}}]\n")(o)
	})
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	if res := g.raw(t, "GET /ws/"+botA+" HTTP/1.0\r\n"+bearerOf(secretA)+"\r\n"+upgrade); res.status != 200 {
		t.Errorf("response by HTTP/1.0 = %d %s, want 200", res.status, res.body)
	}
	if res := g.raw(t, "GET /ws/"+botA+" HTTP/1.1\r\nHost: gate\r\n"+bearerOf(secretA)+"\r\n"+upgrade); res.problem.Code != string(problem.UnsupportedMediaType) {
		t.Errorf("response by HTTP/1.1 = %d %s, want the chatflow's `body:` to refuse websockets", res.status, res.body)
	}
}
