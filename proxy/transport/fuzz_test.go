package transport

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// cannedConn is a connection to a server that responds to the first write and then closes.
type cannedConn struct {
	net.Conn // its other methods are never called
	mu       sync.Mutex
	response *bytes.Reader
	written  chan struct{} // closed by the first write
	once     sync.Once
	closed   bool
}

func newCanned(response string) *cannedConn {
	return &cannedConn{response: bytes.NewReader([]byte(response)), written: make(chan struct{})}
}

func (c *cannedConn) Read(p []byte) (int, error) {
	<-c.written
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	return c.response.Read(p)
}

func (c *cannedConn) Write(p []byte) (int, error) {
	c.once.Do(func() { close(c.written) })
	return len(p), nil
}

func (c *cannedConn) Close() error {
	c.once.Do(func() { close(c.written) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (*cannedConn) SetDeadline(time.Time) error      { return nil }
func (*cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (*cannedConn) SetWriteDeadline(time.Time) error { return nil }

// bothOver returns both transports, with connections from dial.
func bothOver(dial func() net.Conn) map[string]http.RoundTripper {
	d := func(context.Context, string, string) (net.Conn, error) { return dial(), nil }
	return map[string]http.RoundTripper{"own": &Transport{Dial: d}, "standard": &http.Transport{DialContext: d, DisableCompression: true}}
}

// FuzzResponse compares with net/http's Transport what clients see of any bytes that a server may send.
func FuzzResponse(f *testing.F) {
	for _, response := range responses {
		if len(response) < 1000 {
			f.Add(response, false)
			f.Add(response, true)
		}
	}
	f.Add("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello", false)
	f.Fuzz(func(t *testing.T, response string, head bool) {
		if len(response) > 64<<10 {
			return
		}
		got := map[string]outcome{}
		for by, rt := range bothOver(func() net.Conn { return newCanned(response) }) {
			req, err := http.NewRequest("POST", "http://server/", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			if head {
				req.Method, req.Body, req.ContentLength = "HEAD", nil, 0
			}
			o := outcomeOf(t, rt, req)
			if o.Status == http.StatusSwitchingProtocols {
				o.Close = false // has no meaning after an upgrade
			}
			got[by] = o
		}
		if diff := gocmp.Diff(got["standard"], got["own"]); diff != "" {
			t.Errorf("RoundTrip with response %.500q (-standard, +own):\n%.2000s", response, diff)
		}
	})
}

// FuzzRequest compares with net/http's Transport what is sent for any request. It must be read as that one request, and
// not as the beginning of another.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "/api/v1/x", "a=b", "host:80", "X-Name", "value", "abc", false)
	f.Add("GET", "/a b", "", "h", "X", "a\r\nY: z", "", false)
	f.Add("GET / HTTP/1.1\r\nX: y\r\n\r\n", "/", "", "h\r\n", "X\n", "", "", true)
	f.Add("PUT", "/", "a b", "h", "content-length", "7", "GET / HTTP/1.1\r\n\r\n", true)
	f.Add("PATCH", "//x", "", "h", "Transfer-Encoding", "chunked", "0\r\n\r\n", false)
	f.Fuzz(func(t *testing.T, method, path, query, host, name, value, body string, chunked bool) {
		if method == http.MethodConnect {
			return
		}
		got := map[string]*received{}
		for _, by := range []string{"own", "standard"} {
			seen := make(chan *received, 1)
			rt := bothOver(func() net.Conn {
				c, server := net.Pipe()
				go func() { seen <- receive(server) }()
				return c
			})[by]
			req := &http.Request{
				Method: method, URL: &url.URL{Scheme: "http", Host: "h", Path: path, RawQuery: query}, Host: host,
				Header: http.Header{"User-Agent": {"x"}},
			}
			req.Header[name] = []string{value}
			if body != "" {
				req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
				if chunked {
					req.ContentLength = -1
				}
			}
			if res, err := rt.RoundTrip(req); err == nil {
				res.Body.Close()
				got[by] = <-seen
			}
		}
		own, standard := got["own"], got["standard"]
		if own == nil {
			return // not sent, or the server refused all of it
		}
		if own.Method != cmp.Or(method, "GET") || own.Body != body || own.Rest != "" {
			t.Errorf("request = %+v, want method %q and body %q", own, method, body)
		}
		if strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || isFraming(name) {
			return // net/http's Transport changes some hosts, and sends content-length
		}
		if diff := gocmp.Diff(standard, own); diff != "" {
			t.Errorf("request (-standard, +own):\n%.2000s", diff)
		}
	})
}

// receive reads a request and responds, or closes the connection if it cannot be read.
func receive(c net.Conn) *received {
	defer c.Close()
	r := bufio.NewReader(c)
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil
	}
	got := receivedOf(req)
	if got.BodyErr {
		return nil
	}
	go func() { _, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") }()
	rest, _ := io.ReadAll(r)
	got.Rest = string(rest)
	return &got
}
