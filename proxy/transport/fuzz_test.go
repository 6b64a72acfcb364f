package transport

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// canned is a connection to a server that has said all it will say, and then closes.
type canned struct {
	net.Conn // for what nobody calls
	mu       sync.Mutex
	said     *bytes.Reader
	written  chan struct{} // closed by the first write: servers answer what they were asked
	once     sync.Once
	closed   bool
}

func (c *canned) Read(p []byte) (int, error) {
	<-c.written
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	return c.said.Read(p)
}

func (c *canned) Write(p []byte) (int, error) {
	c.once.Do(func() { close(c.written) })
	return len(p), nil
}

func (c *canned) Close() error {
	c.once.Do(func() { close(c.written) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (*canned) SetDeadline(time.Time) error      { return nil }
func (*canned) SetReadDeadline(time.Time) error  { return nil }
func (*canned) SetWriteDeadline(time.Time) error { return nil }

// FuzzAnswers compares what comes of any bytes that a server may send with net/http's Transport.
func FuzzAnswers(f *testing.F) {
	for _, answer := range answers {
		if len(answer) < 1000 {
			f.Add(answer, false)
			f.Add(answer, true)
		}
	}
	f.Add("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello", false)
	f.Fuzz(func(t *testing.T, answer string, head bool) {
		if len(answer) > 64<<10 {
			return
		}
		dial := func(context.Context, string, string) (net.Conn, error) {
			return &canned{said: bytes.NewReader([]byte(answer)), written: make(chan struct{})}, nil
		}
		got := map[string]outcome{}
		for name, rt := range map[string]http.RoundTripper{"own": &Transport{Dial: dial}, "standard": &http.Transport{DialContext: dial, DisableCompression: true, DisableKeepAlives: false}} {
			req, err := http.NewRequest("POST", "http://server/", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			if head {
				req.Method, req.Body, req.ContentLength = "HEAD", nil, 0
			}
			o := exchangeBy(t, rt, req)
			if o.Status == http.StatusSwitchingProtocols {
				o.Close = false // of no meaning any more
			}
			got[name] = o
		}
		if diff := cmp.Diff(got["standard"], got["own"]); diff != "" {
			t.Errorf("%.500q: standard -, own +:\n%.2000s", answer, diff)
		}
	})
}

// FuzzHead: what is sent for a request is read back as that request and nothing else, or it is not sent.
func FuzzHead(f *testing.F) {
	f.Add("POST", "/api/v1/x", "a=b", "host:80", "X-Name", "value", int64(3))
	f.Add("GET", "/a b", "", "h", "X", "a\r\nY: z", int64(0))
	f.Add("GET / HTTP/1.1\r\nX: y\r\n\r\n", "/", "", "h\r\n", "X\n", "", int64(-1))
	f.Fuzz(func(t *testing.T, method, path, query, host, name, value string, length int64) {
		req := &http.Request{Method: method, URL: &url.URL{Scheme: "http", Host: "h", Path: path, RawQuery: query}, Host: host, Header: http.Header{name: {value}}, ContentLength: length}
		if length != 0 {
			req.Body = io.NopCloser(strings.NewReader(""))
		}
		b, err := appendHeader(nil, req)
		if err != nil {
			return
		}
		hidden := "GET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n"
		r := bufio.NewReader(strings.NewReader(string(b) + hidden))
		got, err := http.ReadRequest(r)
		if err != nil {
			return // a server refuses it, whole
		}
		if got.Method != method || strings.Count(string(b), "\r\n\r\n") != 1 || len(got.Header) > 3 {
			t.Errorf("%q is read as %s %s %v", b, got.Method, got.RequestURI, got.Header)
		}
		if rest, _ := io.ReadAll(r); length == 0 && string(rest) != hidden {
			t.Errorf("after %q comes %q, want the next request", b, rest)
		}
	})
}
