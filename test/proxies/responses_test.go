//go:build proxies

package proxies

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// request is a request that the gate or its upstream responds to before it has the body.
type request struct {
	name, path, key string
	size            int
	chunked         bool
	status          int
	text            string // in the response
}

var requests = []request{
	{"no key, 1 byte", "/api/v1/prediction/" + chatflow, "", 1, false, 401, `"missing_key"`},
	{"no key, 16 KB", "/api/v1/prediction/" + chatflow, "", 16_000, false, 401, `"missing_key"`},
	{"no key, 1 MB", "/api/v1/prediction/" + chatflow, "", 1 << 20, false, 401, `"missing_key"`},
	{"no key, as much as is accepted", "/api/v1/prediction/" + chatflow, "", maxBody, false, 401, `"missing_key"`},
	{"no key, more than is accepted", "/api/v1/prediction/" + chatflow, "", maxBody + 1<<20, false, 401, `"missing_key"`},
	{"no key, 1 MB in chunks", "/api/v1/prediction/" + chatflow, "", 1 << 20, true, 401, `"missing_key"`},
	{"unknown key", "/api/v1/prediction/" + chatflow, "unknown-0123456789abcdef", 16_000, false, 401, `"invalid_key"`},
	{"a key for another chatflow", "/api/v1/prediction/" + another, secret, 16_000, false, 403, `"key_not_for_chatflow"`},
	{"no route", "/api/v1/chatflows", secret, 16_000, false, 404, `"not_exposed"`},
	{"too large", "/api/v1/prediction/" + chatflow, secret, maxBody + 1, false, 413, `"body_too_large"`},
	{"the upstream responds early, 16 KB", "/api/v1/prediction/" + chatflow, secret, 16_000, false, 418, "early"},
	{"the upstream responds early, 1 MB", "/api/v1/prediction/" + chatflow, secret, 1 << 20, false, 418, "early"},
}

// send sends the request over a connection of its own and returns what is wrong with what comes back, or nothing. It
// reads while it writes, and a body that cannot be sent to its end is no fault.
func (q request) send(socket string) string {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	header, body := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\n", q.path), strings.Repeat("x", q.size)
	if q.chunked {
		header += "Transfer-Encoding: chunked\r\n"
		body = strings.Repeat("400\r\n"+body[:1<<10]+"\r\n", q.size>>10) + "0\r\n\r\n"
	} else {
		header += fmt.Sprintf("Content-Length: %d\r\n", q.size)
	}
	if q.key != "" {
		header += "Authorization: Bearer " + q.key + "\r\n"
	}
	go func() { _, _ = io.WriteString(conn, header+"\r\n"+body) }()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != q.status || !strings.Contains(string(text), q.text) {
		return fmt.Sprintf("%d %q, %v", res.StatusCode, text, err)
	}
	return ""
}

// wantAll sends the request a hundred times, and wants as many responses.
func (q request) wantAll(t *testing.T, socket string) {
	t.Helper()
	const times = 100
	arrived, fault := 0, ""
	for range times {
		if f := q.send(socket); f != "" {
			fault = f
			continue
		}
		arrived++
	}
	if arrived != times {
		t.Errorf("%s: %d of %d responses arrived, want all; the last that did not: %s", q.name, arrived, times, fault)
	}
}

// TestEveryResponseArrives sends each request through each proxy, to a gate without TLS and one with it.
func TestEveryResponseArrives(t *testing.T) {
	plain, secure := startGate(t), startSecureGate(t)
	for name, socket := range map[string]string{
		"nginx":                            nginx(t, plain, ""),
		"nginx, TLS":                       nginx(t, secure, ""),
		"nginx, HTTP/1.1, without buffers": nginx(t, plain, `proxy_http_version 1.1; proxy_request_buffering off;`),
		"nginx, with connections kept":     nginx(t, plain, `proxy_http_version 1.1; proxy_set_header Connection "";`),
		"HAProxy":                          haproxy(t, plain, "", ""),
		"HAProxy, TLS":                     haproxy(t, secure, "", "ssl verify none"),
		"HAProxy, closing":                 haproxy(t, plain, "option httpclose", ""),
	} {
		t.Run(name, func(t *testing.T) {
			for _, q := range requests {
				q.wantAll(t, socket)
			}
		})
	}
}

// TestTooManyFailuresArrives has clients that sent too many requests without a key.
func TestTooManyFailuresArrives(t *testing.T) {
	gate := startGate(t, "--failure-limit", "1/1h")
	for name, socket := range map[string]string{"nginx": nginx(t, gate, ""), "HAProxy": haproxy(t, gate, "option httpclose", "")} {
		q := request{name, "/api/v1/prediction/" + chatflow, "", 1 << 20, false, 429, `"too_many_failures"`}
		_ = q.send(socket) // the one that is allowed
		q.wantAll(t, socket)
	}
}

// TestDrainArrives sends requests to a gate that shuts down, while one is still open.
func TestDrainArrives(t *testing.T) {
	gate := startGate(t, "--drain", "1m")
	sockets := map[string]string{"nginx": nginx(t, gate, ""), "HAProxy": haproxy(t, gate, "option httpclose", "")}
	conn, err := net.Dial("tcp", strings.TrimPrefix(gate.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer %s\r\nContent-Length: 100000\r\n\r\n%s", chatflow, secret, strings.Repeat("x", 50_000))
	if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil { // and its body does not end
		t.Fatal(err)
	}
	gate.Signal(t, syscall.SIGTERM)
	gate.AwaitLog(t, "draining: new requests get 503, open ones may finish")
	for name, socket := range sockets {
		request{name, "/api/v1/prediction/" + chatflow, secret, 1 << 20, false, 503, `"draining"`}.wantAll(t, socket)
	}
}
