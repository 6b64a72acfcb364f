package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// passedOn is what a client gets of an upstream's response.
type passedOn struct {
	Interim []int
	Status  int
	Header  http.Header
	Body    string
	Whole   bool // the body ended properly
	Trailer http.Header
}

// upstreamResponses are responses, split as an upstream writes them.
var upstreamResponses = map[string][]string{
	"length":              {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\nX: y\r\nx: z\r\n\r\nhello"},
	"length, in pieces":   {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\n", "he", "llo"},
	"length, cut":         {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 50\r\n\r\nhello"},
	"more than a piece":   {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 70000\r\n\r\n" + strings.Repeat("x", 70000)},
	"more than it says":   {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhello"},
	"chunks":              {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	"chunks in pieces":    {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5", "\r\nhel", "lo\r", "\n0\r\n", "\r\n"},
	"large chunks":        {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n", "4000\r\n" + strings.Repeat("x", 0x4000) + "\r\n", "0\r\n\r\n"},
	"events":              {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", "9\r\ndata: a\n\n\r\n", "9\r\ndata: b\n\n\r\n", "0\r\n\r\n"},
	"events of a length":  {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 18\r\n\r\n", "data: a\n\n", "data: b\n\n"},
	"events until closed": {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", "data: a\n\n", "data: b\n\n"},
	"no events":           {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n"},
	"events, cut":         {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", "9\r\ndata: a\n\n\r\n9\r\nda"},
	"until closed":        {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n", "hello"},
	"HTTP/1.0":            {"HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nhello"},
	"trailers":            {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-More\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"},
	"trailers unnamed":    {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "0\r\nX-Sum: 1\r\n\r\n"},
	"trailers, no body":   {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"},
	"no content":          {"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"},
	"not modified":        {"HTTP/1.1 304 Not Modified\r\nEtag: \"a\"\r\n\r\n"},
	"empty":               {"HTTP/1.1 404 Not Found\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"},
	"one hop":             {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nProxy-Connection: x\r\nTe: x\r\nUpgrade: h2c\r\nX: y\r\n\r\nhi"},
	"early hints":         {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </y>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi"},
	"error":               {"HTTP/1.1 500 Oh no\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi"},
	"compressed":          {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi"},
	"unusual status":      {"HTTP/1.1 599 Hm\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi"},
}

// TestResponsesAsReverseProxy compares what clients get of an upstream's response with what a plain ReverseProxy of
// net/http/httputil passes on.
func TestResponsesAsReverseProxy(t *testing.T) {
	t.Parallel()
	for name, pieces := range upstreamResponses {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(method+" "+name, func(t *testing.T) {
				upstream := piecewiseUpstream(t, pieces)
				reference := httptest.NewServer(referenceProxy(upstream))
				defer reference.Close()
				want := ask(t, reference.Listener.Addr().String(), method)
				bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
					g := newGate(t, nil, func(o *proxy.Options) {
						change(o)
						o.Upstream = upstream
						o.Routes = []*route.Route{{Group: "run", Methods: []string{"GET", "POST"}, Path: "/run/{chatflow}"}}
						o.Expose = []string{"run"}
					})
					got := ask(t, g.address, method)
					if got.Header.Get("X-Request-Id") == "" {
						t.Error("the response has no request ID")
					}
					got.Header.Del("X-Request-Id")
					if got.Header.Get("X-Content-Type-Options") != "nosniff" {
						t.Error("the response lets browsers guess its type")
					}
					got.Header.Del("X-Content-Type-Options")
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("response (-ReverseProxy's +the gate's):\n%s", diff)
					}
				})
			})
		}
	}
}

// referenceProxy is a ReverseProxy with the same settings as the gate's.
func referenceProxy(upstream *url.URL) http.Handler {
	reverse := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		FlushInterval: -1,
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		reverse.ServeHTTP(w, r)
	})
}

// piecewiseUpstream sends a response in pieces to each request, and closes the connection.
func piecewiseUpstream(t *testing.T, pieces []string) *url.URL {
	t.Helper()
	return closingUpstream(t, func(c net.Conn) {
		if !readRequest(c) {
			return
		}
		for _, piece := range pieces {
			_, _ = io.WriteString(c, piece)
			time.Sleep(time.Millisecond) // so that the pieces arrive separately; nothing depends on it
		}
	})
}

// ask sends a request with a small body, and reads what comes back.
func ask(t *testing.T, address, method string) (got passedOn) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "%s /run/%s HTTP/1.1\r\nHost: gate\r\nTe: trailers\r\n%s\r\nContent-Length: 2\r\n\r\nhi", method, botA, bearerOf(secretA))
	r := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode < 200 {
			got.Interim = append(got.Interim, res.StatusCode)
			continue
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		res.Header.Del("Date")
		got.Status, got.Header, got.Body, got.Whole, got.Trailer = res.StatusCode, res.Header, string(body), err == nil, res.Trailer
		return got
	}
}
