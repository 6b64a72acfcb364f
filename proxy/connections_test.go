package proxy_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

func withConnections(limit int) func(*proxy.Options) {
	return func(o *proxy.Options) { o.MaxConnections = limit }
}

// connect opens a connection to the gate and sends text over it.
func (s *served) connect(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(testkit.Timeout))
	_, _ = io.WriteString(conn, text)
	return conn
}

// connections returns the metric.
func (s *served) connections(t *testing.T) string {
	t.Helper()
	_, metrics := s.adminGet(t, "GET", "/metrics")
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, "flowlatch_connections "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatal("/metrics has no flowlatch_connections")
	return ""
}

const refused = "GET /none HTTP/1.1\r\nHost: gate\r\n\r\n"

// TestConnectionsAreLimited opens as many connections as there may be, and more: with nothing sent, with half of a
// header, and idle after a response. Each new one takes the place of the least recently used one.
func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	const limit = 10
	s := serveGateWith(t, nil, 0, withConnections(limit))
	began := time.Now()
	oldest := s.connect(t, "")
	var idle []net.Conn
	for i := range limit - 1 {
		conn := s.connect(t, []string{refused, "", "GET /half HTTP"}[i%3])
		if i%3 == 0 {
			readResponse(t, conn)
		}
		idle = append(idle, conn)
	}
	testkit.Eventually(t, "all connections", func() bool { return s.connections(t) == fmt.Sprint(limit) })
	_, _ = io.WriteString(oldest, refused) // it is no longer the least recently used one
	readResponse(t, oldest)
	for range 3 {
		if got := readResponse(t, s.connect(t, refused)); got.status != 404 {
			t.Errorf("response over a new connection = %d, want 404", got.status)
		}
	}
	_, _ = io.WriteString(oldest, refused)
	if got := readResponse(t, oldest); got.status != 404 {
		t.Errorf("response over the connection that was used last = %d, want 404", got.status)
	}
	for i, conn := range idle[1:3] { // the first one, after its response, was used later than these
		if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("connection %d that was idle for longest: %v, want its end", i, err)
		}
	}
	// Half a header times out after 10 s.
	if got := s.connections(t); got != fmt.Sprint(limit) && time.Since(began) < 10*time.Second {
		t.Errorf("flowlatch_connections = %s, want %d", got, limit)
	}
	if !strings.Contains(s.log.String(), `"max_connections":10`) {
		t.Errorf("log = %s, want a line that says that there were too many connections", s.log)
	}
}

// TestConnectionsInUseStay fills all connections with requests that are at the upstream, streams and websockets. None of
// them is closed for a new connection, which is closed itself.
func TestConnectionsInUseStay(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	upstream := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			hijacked(func(conn *net.TCPConn, rw *bufio.ReadWriter) { _, _ = io.Copy(conn, rw) })(w, r)
			return
		}
		<-release
	}
	s := serveGateWith(t, upstream, 0, func(o *proxy.Options) {
		withWebsockets(o)
		o.MaxConnections = 4
		o.Routes = append(o.Routes, &route.Route{Group: "run", Methods: []string{"POST"}, Path: "/api/v1/prediction/{chatflow}"})
	})
	socket, words := s.websocket(t, "")
	request := fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nContent-Length: 0\r\n\r\n", botA, bearerOf(secretA))
	var busy []net.Conn
	for range 3 {
		busy = append(busy, s.connect(t, request))
	}
	testkit.Eventually(t, "requests at the upstream", func() bool { return s.open() == 4 })
	for range 3 {
		if got, err := io.ReadAll(s.connect(t, refused)); len(got) > 0 {
			t.Errorf("response over a connection too many = %q, %v, want none", got, err)
		}
	}
	close(release)
	for _, conn := range busy {
		if got := readResponse(t, conn); got.status != 200 {
			t.Errorf("response over a connection in use = %d, want 200", got.status)
		}
	}
	fmt.Fprintln(socket, "hello")
	if got, err := words.ReadString('\n'); got != "hello\n" {
		t.Errorf("word over the websocket = %q, %v, want hello", got, err)
	}
	socket.Close()
	for _, conn := range busy {
		conn.Close()
	}
	testkit.Eventually(t, "end of all connections", func() bool { return s.connections(t) == "0" })
}

// TestConnectionsOverTLS has HTTP/2 connections whose requests were refused, with responses that stay unread. They make
// room for others.
func TestConnectionsOverTLS(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, nil, 0, withConnections(5))
	var stalled []*h2
	for range 5 { // all before the first request, which is given up after a while
		stalled = append(stalled, s.dialH2(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	}
	for _, c := range stalled {
		c.send(t, post("/none"), true) // net/http waits for it
		c.send(t, post("/none"), true) // the gate waits for it
	}
	testkit.Eventually(t, "requests that are refused", func() bool { return s.open() == 5 })
	for range 5 {
		c := s.dialH2(t)
		if res := c.response(t, c.send(t, post("/none"), true)); res.status != 404 {
			t.Errorf("response over a new connection = %d, want 404", res.status)
		}
	}
	if got := s.connections(t); got != "5" {
		t.Errorf("flowlatch_connections = %s, want 5", got)
	}
}

// setSendBuffer sets how many bytes the kernel keeps for a client that does not read, of connections from now on.
func (s *served) setSendBuffer(t *testing.T, size int) {
	t.Helper()
	raw, err := s.data.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, size) })
	if err := errors.Join(err, set); err != nil {
		t.Fatal(err)
	}
}

// TestEndDoesNotWaitForClients ends a gate whose clients do not read. It does not even wait for TLS's close
// notifications.
func TestEndDoesNotWaitForClients(t *testing.T) {
	t.Parallel()
	s := serveTLS(t, nil, 0, nil)
	s.setSendBuffer(t, 64<<10) // the kernel would take 4 MiB for each client
	config := s.ca.Client()
	config.NextProtos = []string{"http/1.1"}
	var full sync.WaitGroup
	for range 10 {
		conn, err := tls.Dial("tcp", s.address, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.NetConn().Close()
		_ = conn.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
		full.Go(func() { // until the gate stops reading, because nobody reads what it writes
			for {
				_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := io.WriteString(conn, strings.Repeat(refused, 100)); err != nil {
					return
				}
			}
		})
	}
	full.Wait()
	began := time.Now()
	s.stop()
	if err := <-s.ended; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the gate ended after %s, want 4 s or so", took)
	}
}
