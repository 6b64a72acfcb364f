package proxy_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// response is a response as a client got it.
type response struct {
	status  int
	header  http.Header
	body    string
	problem struct {
		Type, Title, Detail, Code, Error string
		Status                           int
		RequestID                        string `json:"request_id"`
	}
}

// headerText returns the header as text.
func (r *response) headerText() string {
	var b strings.Builder
	_ = r.header.Write(&b) // a strings.Builder never fails
	return b.String()
}

// readResponse reads a response, skipping interim responses before it.
func readResponse(t *testing.T, r io.Reader) *response {
	t.Helper()
	from := bufio.NewReader(r)
	res, err := http.ReadResponse(from, nil)
	for err == nil && res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
		res, err = http.ReadResponse(from, nil)
	}
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the body of the response: %v", err)
	}
	got := &response{status: res.StatusCode, header: res.Header, body: string(body)}
	if res.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.Unmarshal(body, &got.problem); err != nil {
			t.Fatalf("the body is not JSON: %q", body)
		}
	}
	return got
}

// readHEAD reads a response to a HEAD request.
func readHEAD(t *testing.T, r io.Reader) *response {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(r), &http.Request{Method: http.MethodHead})
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	res.Body.Close()
	return &response{status: res.StatusCode, header: res.Header}
}

// checkProblem checks that a response is one of the gate's own.
func checkProblem(t *testing.T, res *response, status int, code problem.Code) {
	t.Helper()
	p := res.problem
	if res.status != status || p.Status != status || p.Code != string(code) {
		t.Errorf("response = %d, problem %d %q, want %d %q; body %s", res.status, p.Status, p.Code, status, code, res.body)
	}
	if p.Title == "" || p.Detail == "" || p.Error == "" || !strings.HasSuffix(p.Type, "#"+string(code)) {
		t.Errorf("problem = %s, want all its members", res.body)
	}
	if id := res.header.Get("X-Request-Id"); id == "" || id != p.RequestID {
		t.Errorf("X-Request-Id = %q, in the problem %q, want the same", id, p.RequestID)
	}
	if to := res.header.Get("Location"); to != "" {
		t.Errorf("Location = %q, want none", to)
	}
}

// dial opens a connection to the gate on which nothing may take longer than 20 s.
func (g *gate) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// raw sends bytes unchanged on a new connection, and returns the response.
func (g *gate) raw(t *testing.T, request string) *response {
	t.Helper()
	conn := g.dial(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(request, "HEAD ") {
		return readHEAD(t, conn)
	}
	return readResponse(t, conn)
}

// request sends a request with headers given as "Name: value" lines.
func (g *gate) request(t *testing.T, method, target, body string, headers ...string) *response {
	t.Helper()
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n")
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return g.raw(t, b.String())
}

func bearerOf(secret string) string { return "Authorization: Bearer " + secret }

const jsonType = "Content-Type: application/json"

// conversation sends bytes on one connection, and returns the responses until the gate closes it.
func (g *gate) conversation(t *testing.T, bytes string) (responses []*http.Response) {
	t.Helper()
	conn := g.dial(t)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, bytes) }() // the gate may close before it has read everything
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatalf("after %d responses the gate neither responds nor closes", len(responses))
			}
			return responses
		}
		body, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(strings.NewReader(string(body)))
		responses = append(responses, res)
		if res.Close {
			_, _ = io.Copy(io.Discard, in)
			return responses
		}
	}
}

func statuses(responses []*http.Response) (s []int) {
	for _, res := range responses {
		s = append(s, res.StatusCode)
	}
	return s
}
