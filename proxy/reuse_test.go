package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestConnectionAfterRefusal sends requests that are refused, with their bodies, over one connection: it stays
// open, what was a body is not taken for a request, and the next request is answered.
func TestConnectionAfterRefusal(t *testing.T) {
	g := newGate(t, nil, nil)
	c := g.dial(t)
	r := bufio.NewReader(c)
	hidden := "GET /api/v1/ping HTTP/1.1\r\nHost: hidden\r\n\r\n"
	for _, tt := range []struct {
		target string
		header string
		status int
	}{
		{"/api/v1/prediction/" + botA, "", 401},
		{"/api/v1/prediction/" + botA, bearerOf(secretB) + "\r\n", 403},
		{"/api/v1/%70rediction/" + botA, "", 400},
		{"/api/v1/leads", "", 401},
		{"/api/v1/prediction/" + botA, bearerOf(secretA) + "\r\n", 200},
	} {
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: gate\r\n%s%s\r\nContent-Length: %d\r\n\r\n%s", tt.target, tt.header, jsonType, len(hidden), hidden)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("POST %s %s: %v", tt.target, tt.header, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != tt.status || res.Close {
			t.Errorf("POST %s = %d, connection to be closed: %t; want %d, false", tt.target, res.StatusCode, res.Close, tt.status)
		}
	}
	if _, body, n := g.runner.last(); n != 1 || body != hidden {
		t.Errorf("%d requests reached the runner, the last with %q; want 1, its own body", n, body)
	}
	// A body that is too large to be worth reading is not read, and the connection is of no more use.
	fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nContent-Length: %d\r\n\r\n%s", botA, 1<<20, strings.Repeat("x", 300<<10))
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 401 || !res.Close {
		t.Fatalf("a large body = %v, %v, want 401 and the connection to be closed", res, err)
	}
	res.Body.Close()
}
