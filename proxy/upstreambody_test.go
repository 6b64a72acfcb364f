package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
)

// TestInterimResponsesAndTrailersAreCleaned: like response headers, neither may pass on hop-by-hop fields, or fields that
// clients must not get. This includes trailers that no header announced, all of which ReverseProxy passes on.
func TestInterimResponsesAndTrailersAreCleaned(t *testing.T) {
	t.Parallel()
	const (
		evil    = "Set-Cookie: evil=1\r\nAlt-Svc: h3=\":443\"; evil\r\n"
		oneHop  = "Connection: evil\r\nKeep-Alive: evil\r\nTransfer-Encoding: evil\r\nProxy-Authenticate: evil\r\nUpgrade: evil\r\nTe: evil\r\nTrailer: evil\r\n"
		chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
		body    = "\r\n2\r\n{}\r\n0\r\n"
	)
	for name, response := range map[string]string{
		"interim response":     "HTTP/1.1 103 Early Hints\r\nX-Good: 1\r\nConnection: X-Hop\r\nX-Hop: evil\r\n" + evil + "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"trailers":             chunked + "Trailer: X-Good, Set-Cookie, Alt-Svc, Connection, Keep-Alive\r\n" + body + "X-Good: 1\r\n" + evil + oneHop + "\r\n",
		"trailers unannounced": chunked + body + "X-Good: 1\r\n" + evil + oneHop + "\r\n",
		"some announced":       chunked + "Trailer: X-Good\r\n" + body + "X-Good: 1\r\n" + evil + oneHop + "\r\n",
		"trailers, no body":    chunked + "\r\n0\r\nX-Good: 1\r\n" + evil + oneHop + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				upstream := newRawUpstream(t)
				upstream.respond = func(rawRequest) (string, bool) { return response, true }
				g := newGate(t, nil, func(o *proxy.Options) { upstream.use(o); change(o) })
				conn := g.dial(t)
				fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\nTE: trailers\r\n%s\r\nContent-Length: 2\r\n\r\n{}", botA, bearerOf(secretA))
				raw, _ := io.ReadAll(conn)
				text := string(raw)
				named := strings.Contains(text, "Set-Cookie") || strings.Contains(text, "Alt-Svc") || strings.Contains(text, "Keep-Alive") // in a Trailer header
				if named || strings.Contains(text, "evil") || !strings.Contains(text, "X-Good: 1") || !strings.HasSuffix(text, "\r\n\r\n") && !strings.HasSuffix(text, "{}") {
					t.Errorf("bytes at the client = %q, want the response with X-Good, and nothing bad", raw)
				}
			})
		})
	}
}

// TestResponseHeaderIsCleaned: no response sets a cookie or names another way to the upstream, whatever its status.
func TestResponseHeaderIsCleaned(t *testing.T) {
	t.Parallel()
	status := 200
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h := w.Header()
		h["Set-Cookie"] = []string{"a=session", "b=session"}
		h["set-cookie"] = []string{"c=session"}
		h.Set("Alt-Svc", `h3=":443"`)
		h.Set("X-Request-Id", "id-of-the-upstream")
		h.Set("X-Kept", "1")
		w.WriteHeader(status)
	}, nil)
	for _, status = range []int{200, 204, 302, 401, 500} {
		res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
		if res.status != status || res.header.Get("X-Kept") != "1" {
			t.Fatalf("response = %d %v, want %d from the upstream", res.status, res.header, status)
		}
		if header := res.headerText(); strings.Contains(header, "session") || strings.Contains(header, "Alt-Svc") || strings.Contains(header, "id-of-the-upstream") {
			t.Errorf("response header = %s, want no Set-Cookie, no Alt-Svc, and the gate's request ID", header)
		}
	}
}

// TestTrailersReplaceHeaders has trailers with the names of headers, and some fields that are not allowed in a trailer.
func TestTrailersReplaceHeaders(t *testing.T) {
	t.Parallel()
	responses := make(chan string, 1)
	responses <- "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Sum: 1\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\nAuthorization: x\r\n\r\n"
	g := newGate(t, nil, func(o *proxy.Options) { o.Upstream = scriptedUpstream(t, responses) })
	conn := g.dial(t)
	fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\nContent-Length: 2\r\n\r\n{}", botA, bearerOf(secretA))
	all, _ := io.ReadAll(conn)
	_, trailers, _ := strings.Cut(string(all), "\r\n0\r\n")
	if trailers != "X-Sum: 7\r\n\r\n" {
		t.Errorf("trailers = %q of %q, want the upstream's X-Sum alone", trailers, all)
	}
}
