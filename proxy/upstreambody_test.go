package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestInterimResponsesAndTrailersAreCleaned: neither has what the header of a response may not have.
func TestInterimResponsesAndTrailersAreCleaned(t *testing.T) {
	t.Parallel()
	const bad = "Set-Cookie: session=upstream\r\nAlt-Svc: h3=\":443\"\r\n"
	for name, bytes := range map[string]string{
		"hints":    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n" + bad + "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"trailers": "HTTP/1.1 200 OK\r\nTrailer: Set-Cookie, Alt-Svc\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + bad + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			upstream := newRawUpstream(t)
			upstream.respond = func(rawRequest) (string, bool) { return bytes, true }
			g := newGate(t, nil, upstream.use)
			conn := g.dial(t)
			fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\nTE: trailers\r\n%s\r\nContent-Length: 2\r\n\r\n{}", botA, bearerOf(secretA))
			raw, _ := io.ReadAll(conn)
			if text := string(raw); strings.Contains(text, "session=") || strings.Contains(text, ":443") || !strings.Contains(text, "{}") {
				t.Errorf("bytes at the client = %q, want the response without Set-Cookie and Alt-Svc", raw)
			}
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
