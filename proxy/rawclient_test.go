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

// answer is what a caller got.
type answer struct {
	status  int
	header  http.Header
	body    string
	problem struct {
		Type, Title, Detail, Code, Error string
		Status                           int
		RequestID                        string `json:"request_id"`
	}
}

func readAnswer(t *testing.T, r io.Reader) *answer {
	t.Helper()
	from := bufio.NewReader(r)
	res, err := http.ReadResponse(from, nil)
	for err == nil && res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
		res, err = http.ReadResponse(from, nil)
	}
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the answer's body: %v", err)
	}
	a := &answer{status: res.StatusCode, header: res.Header, body: string(body)}
	if res.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.Unmarshal(body, &a.problem); err != nil {
			t.Fatalf("the body is not JSON: %q", body)
		}
	}
	return a
}

func checkProblem(t *testing.T, a *answer, status int, code problem.Code) {
	t.Helper()
	p := a.problem
	if a.status != status || p.Status != status || p.Code != string(code) {
		t.Errorf("answer = %d, problem %d %q, want %d %q; body %s", a.status, p.Status, p.Code, status, code, a.body)
	}
	if p.Title == "" || p.Detail == "" || p.Error == "" || !strings.HasSuffix(p.Type, "#"+string(code)) {
		t.Errorf("problem %s lacks something", a.body)
	}
	if id := a.header.Get("X-Request-Id"); id == "" || id != p.RequestID {
		t.Errorf("X-Request-Id = %q, in the problem %q; want the same", id, p.RequestID)
	}
	if a.header.Get("Location") != "" {
		t.Error("the answer redirects")
	}
}

// conversation sends bytes on one connection and returns all answers until the gate closes it.
func (g *gate) conversation(t *testing.T, bytes string) (answers []*http.Response) {
	t.Helper()
	conn := g.dial(t)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, bytes) }() // the gate may close before it has read all
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatalf("after %d answers the gate neither answers nor closes", len(answers))
			}
			return answers
		}
		body, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(strings.NewReader(string(body)))
		answers = append(answers, res)
		if res.Close {
			_, _ = io.Copy(io.Discard, in)
			return answers
		}
	}
}

func statuses(answers []*http.Response) (s []int) {
	for _, a := range answers {
		s = append(s, a.StatusCode)
	}
	return s
}

// raw sends bytes as they are and returns the answer.
func (g *gate) raw(t *testing.T, request string) *answer {
	t.Helper()
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(request, "HEAD ") {
		return readHead(t, conn)
	}
	return readAnswer(t, conn)
}

// request sends a request with headers given as "Name: value" lines.
func (g *gate) request(t *testing.T, method, target, body string, headers ...string) *answer {
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

// readHead reads the answer to a HEAD request.
func readHead(t *testing.T, r io.Reader) *answer {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(r), &http.Request{Method: http.MethodHead})
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	res.Body.Close()
	return &answer{status: res.StatusCode, header: res.Header}
}

// head is the answer's head as text.
func (a *answer) head() string {
	var b strings.Builder
	_ = a.header.Write(&b) // a builder takes everything
	return b.String()
}
