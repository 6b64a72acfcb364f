//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// attack is what clients without a key do to a gate.
type attack struct {
	name   string
	tls    bool
	keys   int // additional keys in the key file
	attack func(t *testing.T, g *attacked)
}

var attacks = []attack{
	{"5,000 idle connections", false, 0, func(t *testing.T, g *attacked) {
		for i := range atSize(5000) {
			_, _ = io.WriteString(g.dialTCP(t, g.address()), []string{"", "GET /api/v1/none HTTP/1.1\r\nHost: gate\r\n\r\n"}[i%2])
		}
	}},
	{"5,000 headers of 15 KiB that do not end", false, 0, func(t *testing.T, g *attacked) {
		header := "GET /api/v1/none HTTP/1.1\r\nX: " + strings.Repeat("x", 15<<10)
		for range atSize(5000) {
			_, _ = io.WriteString(g.dialTCP(t, g.address()), header)
		}
	}},
	{"5,000 idle connections over TLS", true, 0, func(t *testing.T, g *attacked) {
		for range atSize(5000) {
			g.dialTLS(t, "http/1.1")
		}
	}},
	{"5,000 idle connections of HTTP/2", true, 0, func(t *testing.T, g *attacked) {
		for range atSize(5000) {
			g.dialH2(t, 0)
		}
	}},
	{"HTTP/2: 100 connections with 100 refused requests, window 0, headers of 15 KiB", true, 0, func(t *testing.T, g *attacked) {
		g.refusedH2(t, 100, hpack.HeaderField{Name: "x-large", Value: strings.Repeat("x", 15<<10)}, 100, nil)
	}},
	{"HTTP/2: 5,000 connections with a refused request, window 0, headers of 15 KiB", true, 0, func(t *testing.T, g *attacked) {
		g.refusedH2(t, 5000, hpack.HeaderField{Name: "x-large", Value: strings.Repeat("x", 15<<10)}, 1, nil)
	}},
	{"HTTP/2: 100 connections with 4 refused requests, window 0, and 256 KiB of body for each", true, 0, func(t *testing.T, g *attacked) {
		g.refusedH2(t, 100, hpack.HeaderField{Name: "x-small", Value: "x"}, 4, make([]byte, 16<<10))
	}},
	{"11 connections of HTTP/2 with 100 `GET ping` each, the upstream stalls", true, 0, func(t *testing.T, g *attacked) {
		for range 11 {
			c := g.dialH2(t, 1<<16)
			for range 100 {
				c.request("GET", "/api/v1/ping", true, g.next())
			}
		}
		g.wantRequests(t, 1100)
		if n := g.stalled.Load(); n > 256 {
			t.Errorf("requests at the upstream = %d, want 256 at most", n)
		}
	}},
	{"64 bodies of 900 KiB that stall, from as many addresses, for a public chatflow", false, 0, func(t *testing.T, g *attacked) {
		for i := range 64 {
			fmt.Fprintf(g.dialTCP(t, g.address()), "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nX-Forwarded-For: 100.0.0.%d\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n%s",
				publicChatflow, i, strings.Repeat("x", 900<<10))
		}
		g.wantRequests(t, 64)
	}},
	{"5,000 `GET ping` that are given up", false, 0, func(t *testing.T, g *attacked) {
		for i := range atSize(5000) {
			conn, err := net.Dial("tcp", g.address())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET /api/v1/ping HTTP/1.1\r\nHost: gate\r\nX-Forwarded-For: 100.0.0.%d\r\n\r\n", i%200)
			conn.Close()
		}
	}},
	{"50,000 keys: 50 clients ask for /status or /metrics and do not read", false, 50_000, func(t *testing.T, g *attacked) {
		for i := range 50 {
			conn := g.dialTCP(t, strings.TrimPrefix(g.Admin, "http://"))
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", []string{"/status", "/metrics"}[i%2])
		}
		for _, path := range []string{"/status", "/metrics"} { // once the gate has given up on those clients
			testkit.Eventually(t, path, func() bool { return send(t, http.MethodGet, g.Admin+path, "", "").status == http.StatusOK })
		}
	}},
	{"100,000 requests that are refused", false, 0, func(t *testing.T, g *attacked) { g.floodRefused(t, 0, atSize(100_000)) }},
}

// dialTLS opens a connection over TLS.
func (g *attacked) dialTLS(t *testing.T, protocol string) net.Conn {
	t.Helper()
	config := g.authority.Client()
	config.NextProtos, config.ServerName = []string{protocol}, "gate.example"
	conn := tls.Client(g.dialTCP(t, g.address()), config)
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatalf("connection %d: %v", len(g.conns), err)
	}
	return conn
}

// h2 is an HTTP/2 connection that sends requests and discards the responses.
type h2 struct {
	*http2.Framer
	header  bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32
}

// dialH2 opens an HTTP/2 connection whose streams have a window of this many bytes.
func (g *attacked) dialH2(t *testing.T, window uint32) *h2 {
	t.Helper()
	conn := g.dialTLS(t, "h2")
	c := &h2{Framer: http2.NewFramer(conn, conn)}
	c.encoder = hpack.NewEncoder(&c.header)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	_ = c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	_ = c.WriteSettingsAck()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	return c
}

// request begins a request. It ignores errors, since the gate may have closed the connection.
func (c *h2) request(method, path string, end bool, fields ...hpack.HeaderField) {
	c.header.Reset()
	for _, f := range append([]hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "gate"}, {Name: ":path", Value: path}}, fields...) {
		_ = c.encoder.WriteField(f)
	}
	c.stream += 2
	block := c.header.Bytes()
	first := block[:min(len(block), 16<<10)] // the largest frame that is allowed
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream - 1, BlockFragment: first, EndStream: end, EndHeaders: len(first) == len(block)})
	if rest := block[len(first):]; len(rest) > 0 {
		_ = c.WriteContinuation(c.stream-1, true, rest)
	}
}

// refusedH2 sends requests that are refused, each from its own client address, over this many connections (scaled by
// atSize), and opens no window for the responses. It sends a body, if there is one, 16 times.
func (g *attacked) refusedH2(t *testing.T, conns int, field hpack.HeaderField, streams int, body []byte) {
	t.Helper()
	n := atSize(conns)
	for range n {
		c := g.dialH2(t, 0)
		for range streams {
			c.request("POST", "/api/v1/prediction/"+webChatflow, body == nil, field, g.next())
			for range 16 {
				if body != nil {
					_ = c.WriteData(c.stream-1, false, body)
				}
			}
		}
	}
	g.wantRequests(t, n*streams)
}

// next returns a header with a client address that no other request has.
func (g *attacked) next() hpack.HeaderField {
	g.clients++
	return hpack.HeaderField{Name: "x-forwarded-for", Value: fmt.Sprintf("100.0.%d.%d", g.clients>>8, g.clients&255)}
}

// wantRequests waits until n requests have arrived.
func (g *attacked) wantRequests(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("%d requests", n), func() bool {
		s := g.status(t)
		return int(s.Totals.Requests)+int(s.OpenRequests) >= n
	})
}
