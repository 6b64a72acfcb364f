//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// timeout is the longest that any single response or stream may take.
const timeout = 30 * time.Second

// request is a request to the gate or to Flowise.
type request struct {
	method, path string
	key          string            // sent as a Bearer token; empty sends none
	header       map[string]string // further headers
	body         any               // sent as JSON, or as it is if an io.Reader
}

func (r request) String() string { return r.method + " " + r.path }

// response is a response that was read.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (a response) String() string { return fmt.Sprintf("%d %.300s", a.status, a.body) }

// problem is the body of a refusal by flowlatch.
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Error  string `json:"error"`
}

// ask returns a request for a prediction.
func ask(chatflow, question, key string) request {
	return request{
		method: http.MethodPost, path: "/api/v1/prediction/" + chatflow, key: key,
		body: map[string]any{"question": question},
	}
}

// streamed returns the request of ask, changed so that the response is a stream.
func streamed(r request, chatID string) request {
	question := r.body.(map[string]any)["question"]
	r.body = map[string]any{"question": question, "streaming": true, "chatId": chatID}
	return r
}

// client uses no proxy, and a new connection for each request, because some tests stop the server.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// open sends a request and returns when the response header has come.
func open(t *testing.T, c *http.Client, base string, r request) (*http.Response, error) {
	t.Helper()
	body, isReader := r.body.(io.Reader)
	if r.body != nil && !isReader {
		b, err := json.Marshal(r.body)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if r.body != nil && !isReader {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	return c.Do(req)
}

// send sends a request and reads the response.
func send(t *testing.T, base string, r request) response {
	t.Helper()
	res, err := open(t, client, base, r)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	return whole(t, r, res)
}

func whole(t *testing.T, r request, res *http.Response) response {
	t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%v: reading the response: %v", r, err)
	}
	return response{res.StatusCode, res.Header, body}
}

// wantText fails the test unless the response is a prediction with this text.
func wantText(t *testing.T, r request, got response, want string) {
	t.Helper()
	var prediction struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(got.body, &prediction); err != nil || got.status != http.StatusOK || prediction.Text != want {
		t.Errorf("%v = %v, want 200 with the text %q", r, got, want)
	}
}

// wantProblem fails the test unless the response is a refusal by flowlatch with this code.
func wantProblem(t *testing.T, r request, got response, status int, code string) {
	t.Helper()
	var p problem
	err := json.Unmarshal(got.body, &p)
	if err != nil || got.status != status || p.Status != status || p.Code != code || p.Error == "" ||
		!strings.HasPrefix(got.header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("%v = %v (%s), want a problem %d %s", r, got, got.header.Get("Content-Type"), status, code)
	}
}

// stream is an open response of server-sent events.
type stream struct {
	request request
	lines   *bufio.Scanner
	leave   func() // closes the connection
}

// event is one of Flowise's events; its name is in the data, not in an "event:" line.
type event struct {
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// openStream sends a request and fails the test unless the response is a stream of events.
func openStream(t *testing.T, base string, r request) *stream {
	t.Helper()
	res, err := open(t, client, base, r)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || !strings.HasPrefix(got, "text/event-stream") {
		t.Fatalf("%v = %v (%s), want 200 text/event-stream", r, whole(t, r, res), got)
	}
	leave := func() { res.Body.Close() }
	t.Cleanup(leave)
	return &stream{request: r, lines: bufio.NewScanner(res.Body), leave: leave}
}

// openAndLeave sends a request that may have no response until leave closes its connection.
func openAndLeave(t *testing.T, base string, r request) (leave func()) {
	t.Helper()
	body, err := json.Marshal(r.body)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+r.key)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// next returns the next event, or false at the end of the stream.
func (s *stream) next(t *testing.T) (event, bool) {
	t.Helper()
	for s.lines.Scan() {
		data, ok := strings.CutPrefix(s.lines.Text(), "data:")
		if !ok {
			continue
		}
		var e event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%v sent the event %q: %v", s.request, data, err)
		}
		return e, true
	}
	if err := s.lines.Err(); err != nil {
		t.Fatalf("%v was cut off: %v", s.request, err)
	}
	return event{}, false
}

// firstToken reads up to the first token and returns it.
func (s *stream) firstToken(t *testing.T) string {
	t.Helper()
	for {
		e, ok := s.next(t)
		if !ok {
			t.Fatalf("%v ended without a token", s.request)
		}
		if e.Event == "token" {
			return e.text()
		}
	}
}

// rest reads to the end and returns the tokens in one text and the names of all events.
func (s *stream) rest(t *testing.T) (text string, names []string) {
	t.Helper()
	for e, ok := s.next(t); ok; e, ok = s.next(t) {
		names = append(names, e.Event)
		if e.Event == "token" {
			text += e.text()
		}
	}
	return text, names
}

// text is the event's data if that is a string.
func (e event) text() string {
	var s string
	if json.Unmarshal(e.Data, &s) != nil {
		return string(e.Data)
	}
	return s
}
