package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestMalformedResponses has an upstream respond to one client in ways that leave unclear where the response ends, and to
// the next client correctly. The next client must get its own response, since connections to the upstream are shared.
func TestMalformedResponses(t *testing.T) {
	t.Parallel()
	const (
		ok     = "HTTP/1.1 200 OK\r\n"
		stolen = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"
		cut    = -1 // the response is cut before its end
	)
	for _, tt := range []struct {
		name, bytes string
		status      int
		body        string
		keep        bool // the upstream keeps the connection open
	}{
		{"two lengths", ok + "Content-Length: 2\r\nContent-Length: 30\r\n\r\nok" + stolen, 502, "", true},
		{"the same length twice", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"list of lengths", ok + "Content-Length: 2, 2\r\n\r\nok" + stolen, 502, "", true},
		{"signed length", ok + "Content-Length: +2\r\n\r\nok" + stolen, 502, "", true},
		{"negative length", ok + "Content-Length: -2\r\n\r\nok" + stolen, 502, "", true},
		{"length and chunks", ok + "Content-Length: 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + stolen, 200, "ok", true},
		{"unknown encoding", ok + "Transfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + stolen, 502, "", true},
		{"two encodings", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + stolen, 502, "", true},
		{"malformed chunk", ok + "Transfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n" + stolen, cut, "", true},
		{"chunk without an end", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok", cut, "", false},
		{"more than its length", ok + "Content-Length: 2\r\n\r\nok" + stolen, 200, "ok", true},
		{"two responses in one", stolen + stolen, 200, "stolen", true},
		{"less than its length", ok + "Content-Length: 20\r\n\r\nok", cut, "", false},
		{"no content, with some", "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nstolen" + stolen, 204, "", true},
		{"not modified, with content", "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nstolen" + stolen, 304, "", true},
		{"no length", ok + "\r\nok", 200, "ok", false},
		{"header without an end", ok + "Content-Length: 2\r\n", 502, "", false},
		{"nothing", "", 502, "", false},
		{"no HTTP", "hello\r\n\r\n" + stolen, 502, "", true},
		{"no version", "HTTP 200 OK\r\n\r\n" + stolen, 502, "", true},
		{"another version", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"no status", "HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok" + stolen, 502, "", true},
		{"status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok" + stolen, 502, "", true},
		{"negative status", "HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\nok" + stolen, 502, "", true},
		{"space before a colon", ok + "Set-Cookie : a=injected\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"header without a colon", ok + "X\r\nContent-Length: 2\r\n\r\nok", 502, "", true},
		{"folded line", ok + "X: a\r\n Set-Cookie: a=injected\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true},
		{"NUL in a header", ok + "X: a\x00b\r\nContent-Length: 2\r\n\r\nok", 502, "", true},
		{"carriage return in a header", ok + "X: a\rSet-Cookie: a=injected\r\nContent-Length: 2\r\n\r\nok", 502, "", true},
		{"line feed after a header", ok + "X: a\nContent-Length: 2\n\nok", 200, "ok", true},
		{"header of 11 MiB", ok + "X: " + strings.Repeat("x", 11<<20) + "\r\nContent-Length: 2\r\n\r\nok", 502, "", true},
		{"100 Continue", "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nok", 200, "ok", true},
		{"early hints before it", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 20) + ok + "Content-Length: 2\r\n\r\nok", 200, "ok", true},
		{"early hints without an end", strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", 10_000), 502, "", false},
		{"switch of protocols", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + stolen, 502, "", true},
		{"switch without Connection", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n" + stolen, 502, "", true},
		{"switch to nothing", "HTTP/1.1 101 Switching Protocols\r\n\r\n" + stolen, 502, "", true},
		{"switch to h2c", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + stolen, 502, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			upstream := newRawUpstream(t)
			upstream.respond = func(r rawRequest) (string, bool) {
				if r.body == "first" {
					return tt.bytes, tt.keep
				}
				return ok + "Content-Length: " + strconv.Itoa(len(r.body)) + "\r\n\r\n" + r.body, true
			}
			g := newGate(t, nil, upstream.use)
			ask := func(question string) (status int, body string, res *http.Response) {
				conn := g.dial(t)
				fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\nContent-Length: %d\r\n\r\n%s", botA, bearerOf(secretA), len(question), question)
				in := bufio.NewReader(conn)
				for {
					res, err := http.ReadResponse(in, nil)
					if err != nil {
						return cut, "", nil
					}
					if res.StatusCode < 200 {
						continue
					}
					raw, err := io.ReadAll(res.Body)
					if err != nil {
						return cut, "", res
					}
					return res.StatusCode, string(raw), res
				}
			}
			for i := range 3 {
				own := fmt.Sprintf("own-%d", i)
				if status, body, _ := ask(own); status != 200 || body != own {
					t.Errorf("response to %q = %d %q, want 200 and the same", own, status, body)
				}
				status, body, res := ask("first")
				if status != tt.status || status < 500 && body != tt.body {
					t.Errorf("malformed response = %d %q at the client, want %d %q", status, body, tt.status, tt.body)
				}
				if status == 502 && (!strings.Contains(body, string(problem.UpstreamUnreachable)) || strings.Contains(body, "stolen") || res.Header.Get("X-Request-Id") == "") {
					t.Errorf("malformed response = %v %s at the client, want the gate's own", res.Header, body)
				}
				if res != nil && (res.Header.Get("Set-Cookie") != "" || res.Header["Set-Cookie "] != nil) {
					t.Errorf("header of the malformed response at the client = %v, want no Set-Cookie", res.Header)
				}
			}
			for _, q := range upstream.received(t) {
				if q.fault != "" {
					t.Errorf("at the upstream = %+v, want whole requests", q)
				}
			}
		})
	}
}

// TestFloodOfInterimResponses has an upstream that sends early hints without end, and never a response.
func TestFloodOfInterimResponses(t *testing.T) {
	t.Parallel()
	upstream := newRawUpstream(t)
	upstream.respond = func(rawRequest) (string, bool) {
		return strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", 10_000), true
	}
	g := newGate(t, nil, func(o *proxy.Options) { upstream.use(o); o.UpstreamTimeout = 300 * time.Millisecond })
	conn := g.dial(t)
	fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\nContent-Length: 2\r\n\r\n{}", botA, bearerOf(secretA))
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("reading the response: %v", err)
		}
		if res.StatusCode == http.StatusEarlyHints {
			continue
		}
		if res.StatusCode != http.StatusGatewayTimeout {
			t.Errorf("response = %d, want 504", res.StatusCode)
		}
		return
	}
}
