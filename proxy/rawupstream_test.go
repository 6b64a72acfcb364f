package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
)

// closingUpstream serves each connection with a function, and closes it afterwards.
func closingUpstream(t *testing.T, serve func(net.Conn)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return mustURL(t, "http://"+l.Addr().String())
}

// readRequest reads a whole request, and reports whether there was one: a health check sends none.
func readRequest(c net.Conn) bool {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, req.Body)
	return true
}

// rawUpstream parses bytes by the letter of RFC 9112, without net/http, and keeps every request that it finds.
type rawUpstream struct {
	net.Listener
	// respond returns the bytes of a response, and whether the connection stays open. Nil means a 200.
	respond func(r rawRequest) (bytes string, keep bool)

	mu       sync.Mutex
	requests []*rawRequest
}

// rawRequest is what a rawUpstream has read.
type rawRequest struct {
	header     string // with the request line
	body       string
	trailers   string
	fault      string // why it is not a whole, well-formed request
	connection int
}

func newRawUpstream(t *testing.T) *rawUpstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &rawUpstream{Listener: l}
	var connections sync.WaitGroup
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { u.serve(conn, n) })
		}
	}()
	return u
}

// use is a change of options that makes u the gate's upstream.
func (u *rawUpstream) use(o *proxy.Options) {
	o.Upstream = &url.URL{Scheme: "http", Host: u.Addr().String()}
}

// arriving is the fault of a request whose first byte is there, but not the last.
const arriving = "still arriving"

// received returns all requests, once none is still arriving.
func (u *rawUpstream) received(t *testing.T) (all []rawRequest) {
	t.Helper()
	testkit.Eventually(t, "end of all requests at the upstream", func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		all = nil
		for _, q := range u.requests {
			all = append(all, *q)
		}
		return !slices.ContainsFunc(all, func(q rawRequest) bool { return q.fault == arriving })
	})
	return all
}

func (u *rawUpstream) serve(conn net.Conn, n int) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		if _, err := in.Peek(1); err != nil {
			return
		}
		q := &rawRequest{connection: n, fault: arriving}
		u.mu.Lock()
		u.requests = append(u.requests, q) // there from its first byte on
		u.mu.Unlock()
		read := readRaw(in)
		read.connection = n
		u.mu.Lock()
		*q = read
		u.mu.Unlock()
		if read.fault != "" {
			return
		}
		bytes, keep := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true
		if u.respond != nil {
			bytes, keep = u.respond(read)
		}
		if _, err := io.WriteString(conn, bytes); err != nil || !keep {
			return
		}
	}
}

var (
	rawRequestLine = regexp.MustCompile(`^[A-Z]+ /[A-Za-z0-9._~/-]*(\?[A-Za-z0-9._~%=&-]*)? HTTP/1\.1\r\n$`)
	rawHeaderLine  = regexp.MustCompile(`^[A-Za-z0-9-]+: ([^\x00-\x08\x0a-\x1f\x7f]*)\r\n$`)
	rawChunkLine   = regexp.MustCompile(`^[0-9a-f]{1,8}\r\n$`)
)

// readRaw reads one request and says what is wrong with it.
func readRaw(in *bufio.Reader) (q rawRequest) {
	fail := func(format string, args ...any) rawRequest {
		q.fault = fmt.Sprintf(format, args...)
		return q
	}
	length, chunked, framed := 0, false, 0
	for {
		line, err := in.ReadString('\n')
		q.header += line
		switch {
		case err != nil:
			return fail("the header has no end: %v", err)
		case q.header == line:
			if !rawRequestLine.MatchString(line) {
				return fail("request line %q", line)
			}
			continue
		case line == "\r\n":
		case !rawHeaderLine.MatchString(line):
			return fail("header line %q", line)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ": ")
		switch strings.ToLower(name) {
		case "content-length":
			framed++
			if length, err = strconv.Atoi(value); err != nil || strconv.Itoa(length) != value {
				return fail("Content-Length %q", value)
			}
		case "transfer-encoding":
			framed++
			if chunked = value == "chunked"; !chunked {
				return fail("Transfer-Encoding %q", value)
			}
		}
		if line == "\r\n" {
			break
		}
	}
	if framed > 1 {
		return fail("%d headers about the length of the body", framed)
	}
	if !chunked {
		body := make([]byte, length)
		n, err := io.ReadFull(in, body)
		q.body = string(body[:n])
		if err != nil {
			return fail("the body has no end: %v", err)
		}
		return q
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil || !rawChunkLine.MatchString(line) {
			return fail("size of a chunk %q, %v", line, err)
		}
		size, _ := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if size == 0 {
			break
		}
		chunk := make([]byte, size+2)
		n, err := io.ReadFull(in, chunk)
		q.body += string(chunk[:min(n, int(size))])
		if err != nil || string(chunk[size:]) != "\r\n" {
			return fail("a chunk has no end: %v", err)
		}
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return fail("the trailers have no end: %v", err)
		}
		if line == "\r\n" {
			return q
		}
		q.trailers += line
	}
}
