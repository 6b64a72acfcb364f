package proxy_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// TestFramingInDoubtClosesTheConnection has requests whose end somebody before the gate may have
// understood in another way (RFC 9112 section 6.1): no request may follow on their connection.
func TestFramingInDoubtClosesTheConnection(t *testing.T) {
	head := "POST /api/v1/prediction/" + botA + " HTTP/1.%d\r\nHost: gate\r\n" + bearerOf(secretA) + "\r\nConnection: keep-alive\r\n"
	for name, request := range map[string]string{
		"length shorter than the chunks": fmt.Sprintf(head, 1) + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"length longer than the chunks":  fmt.Sprintf(head, 1) + "Transfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"length of the chunks":           fmt.Sprintf(head, 1) + "Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunks in HTTP/1.0":             fmt.Sprintf(head, 0) + "Transfer-Encoding: chunked\r\n\r\n",
		"chunks and length in HTTP/1.0":  fmt.Sprintf(head, 0) + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			runner := newRawRunner(t)
			g := newGate(t, nil, runner.upstream(t))
			got := statuses(g.conversation(t, request+hidden+last))
			if len(got) != 1 {
				t.Errorf("answers = %v, want one and the end of the connection", got)
			}
		})
	}
}

// TestHalfABodyIsNoSuccess has callers who send half of a body and then that there is no more to come.
// They listen still, and no answer can be right but one that says what is wrong.
func TestHalfABodyIsNoSuccess(t *testing.T) {
	for name, framed := range map[string]string{
		"length":                           "Content-Length: 100\r\n\r\nhalf",
		"length, nothing sent":             "Content-Length: 100\r\n\r\n",
		"chunk":                            "Transfer-Encoding: chunked\r\n\r\n64\r\nhalf",
		"chunks without a last":            "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"chunks without the trailers' end": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			runner := newRawRunner(t)
			g := newGate(t, nil, runner.upstream(t))
			conn := g.dial(t)
			fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\n%s", botA, bearerOf(secretA), framed)
			_ = conn.(*net.TCPConn).CloseWrite()
			raw, _ := io.ReadAll(conn)
			if strings.HasPrefix(string(raw), "HTTP/1.1 2") {
				t.Errorf("answer to half a body = %q, want no success", raw)
			}
			for _, q := range runner.seen(t) {
				if q.fault == "" {
					t.Errorf("the runner got %+v, want nothing whole", q)
				}
			}
		})
	}
}

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
