package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http's Transport logs stray responses
	os.Exit(m.Run())
}

// network connects transports and servers of one scheme.
type network struct {
	scheme         string
	server, client *tls.Config // nil for http
}

// overBoth runs a test over HTTP and over HTTPS.
func overBoth(t *testing.T, test func(t *testing.T, n network)) {
	t.Helper()
	for _, n := range []network{{scheme: "http"}, overTLS(t)} {
		t.Run(n.scheme, func(t *testing.T) { test(t, n) })
	}
}

func overTLS(t *testing.T) network {
	t.Helper()
	ca := certificatetest.New(t, "ca")
	return network{
		scheme: "https",
		server: &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "server", time.Hour).Certificate(t)}},
		client: ca.Client(),
	}
}

func (n network) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil || n.client == nil {
		return c, err
	}
	config := n.client.Clone()
	config.ServerName = "127.0.0.1"
	secure := tls.Client(c, config)
	return secure, secure.HandshakeContext(ctx)
}

// own returns the transport under test.
func (n network) own(t *testing.T) *Transport {
	t.Helper()
	tr := &Transport{Dial: n.dial}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// both returns the transports that must behave alike, by name.
func (n network) both(t *testing.T) map[string]http.RoundTripper {
	t.Helper()
	standard := &http.Transport{DialContext: n.dial, DialTLSContext: n.dial, DisableCompression: true, MaxResponseHeaderBytes: maxHeader}
	t.Cleanup(standard.CloseIdleConnections)
	return map[string]http.RoundTripper{"own": n.own(t), "standard": standard}
}

// script starts a server that reads the header of one request on each connection and leaves the rest to respond. It
// returns the URL and the number of connections so far.
func (n network) script(t *testing.T, respond func(req *http.Request, r *bufio.Reader, c net.Conn)) (url string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	connections = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			if n.server != nil {
				c = tls.Server(&corked{Conn: c}, n.server)
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				if req, err := http.ReadRequest(r); err == nil {
					respond(req, r, c)
				}
			}()
		}
	}()
	return n.scheme + "://" + l.Addr().String(), connections
}

// corked is a connection that can hold back what is written to it, and then send it all at once.
type corked struct {
	net.Conn
	mu   sync.Mutex
	cork bool
	kept bytes.Buffer
}

func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cork {
		return c.kept.Write(p)
	}
	return c.Conn.Write(p)
}

// Close sends what was held back, and closes the connection.
func (c *corked) Close() error {
	c.uncork()
	return c.Conn.Close()
}

func (c *corked) uncork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cork = false
	_, _ = c.Conn.Write(c.kept.Bytes())
	c.kept.Reset()
}

// SetWriteDeadline does nothing: closing TLS sets a deadline, which would also apply to what is still held back.
func (*corked) SetWriteDeadline(time.Time) error { return nil }

// atOnce sends everything that write writes to a TLS connection as one segment.
func atOnce(c *tls.Conn, write func(c net.Conn)) {
	under := c.NetConn().(*corked)
	under.mu.Lock()
	under.cork = true
	under.mu.Unlock()
	write(c)
	under.uncork()
}

// serve starts a server and returns its URL and the number of connections so far.
func (n network) serve(t *testing.T, h http.HandlerFunc) (url string, connections *atomic.Int64) {
	t.Helper()
	connections = &atomic.Int64{}
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	if n.server == nil {
		s.Start()
	} else {
		s.TLS = n.server.Clone()
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s.URL, connections
}

// send sends a request and reads the response's body.
func send(t *testing.T, rt http.RoundTripper, method, url, body string, header ...string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// idle returns the number of idle connections.
func idle(tr *Transport) int {
	tr.pool.mu.Lock()
	defer tr.pool.mu.Unlock()
	return len(tr.pool.idle)
}
