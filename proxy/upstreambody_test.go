package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestAllHeadsOfAnAnswerAreCleaned sees that what comes before an answer, and what comes after it,
// carries nothing that its head may not.
func TestAllHeadsOfAnAnswerAreCleaned(t *testing.T) {
	const bad = "Set-Cookie: session=runner\r\nAlt-Svc: h3=\":443\"\r\n"
	for name, bytes := range map[string]string{
		"hints":    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n" + bad + "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"trailers": "HTTP/1.1 200 OK\r\nTrailer: Set-Cookie, Alt-Svc\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + bad + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			runner := newRawRunner(t)
			runner.answer = func(rawRequest) (string, bool) { return bytes, true }
			g := newGate(t, nil, runner.upstream(t))
			conn := g.dial(t)
			fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\nTE: trailers\r\n%s\r\nContent-Length: 2\r\n\r\n{}", botA, bearerOf(secretA))
			raw, _ := io.ReadAll(conn)
			if text := string(raw); strings.Contains(text, "session=") || strings.Contains(text, ":443") || !strings.Contains(text, "{}") {
				t.Errorf("the caller gets %q, want the answer without cookies and Alt-Svc", raw)
			}
		})
	}
}

// TestRunnersSessionsStayInside sees that an answer sets no cookie and names no other way to the
// runner, whatever its status.
func TestRunnersSessionsStayInside(t *testing.T) {
	status := 200
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h := w.Header()
		h["Set-Cookie"] = []string{"a=session", "b=session"}
		h["set-cookie"] = []string{"c=session"}
		h.Set("Alt-Svc", `h3=":443"`)
		h.Set("X-Request-Id", "the-runners-own")
		h.Set("X-Kept", "1")
		w.WriteHeader(status)
	}, nil)
	for _, status = range []int{200, 204, 302, 401, 500} {
		a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
		if a.status != status || a.header.Get("X-Kept") != "1" {
			t.Fatalf("answer = %d %v, want %d from the runner", a.status, a.header, status)
		}
		if head := a.head(); strings.Contains(head, "session") || strings.Contains(head, "Alt-Svc") || strings.Contains(head, "the-runners-own") {
			t.Errorf("head of the answer = %s, want no cookie, no Alt-Svc, and the gate's request ID", head)
		}
	}
}
