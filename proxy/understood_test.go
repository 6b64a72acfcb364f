package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestTypesOfBodies has ways to say what a body is that one reader understands otherwise than another: mime of
// Go takes the charset of RFC 2231, the runner's library the plain one. {"a":"+ACI-..."} is another object
// in UTF-7 than in UTF-8.
func TestTypesOfBodies(t *testing.T) {
	body := `{"chatflowid":"` + botA + `","name":"x"}`
	g := newGate(t, nil, withKeys(t, limitedKeys))
	for _, contentType := range []string{
		"application/json; charset=utf-7; charset*=utf-8''utf-8", "application/json; charset=utf-7; charset*0=utf-8", "application/json; charset*=utf-8''utf-8",
		"application/json;", "application/json; ", "application/json; charset", "application/json; charset=", "application/json; charset=\"utf-8", "application/json; x=y",
		"application/json, text/plain", "application/json; charset=utf-8; charset=utf-8", "application/json; charset=utf-8;", "application/json ; charset =utf-8", "application/json; charset=utf_8",
		"application/JSON; Charset='utf-8'", "\"application/json\"", "application/json/x", "application/x-json", "application/json+x", "application/problem+json",
	} {
		header := "Content-Type: " + contentType
		if a := g.request(t, "POST", "/api/v1/leads", body, bearerOf(secretA), header); a.problem.Code != string(problem.BadRequest) {
			t.Errorf("a body that names the chatflow, %q = %d %s, want bad_request", contentType, a.status, a.body)
		}
		if a := g.request(t, "POST", "/api/v1/prediction/"+botLimited, `{"question":"x"}`, bearerOf(secretA), header); a.problem.Code != string(problem.UnsupportedMediaType) {
			t.Errorf("a body that is checked, %q = %d %s, want unsupported_media_type", contentType, a.status, a.body)
		}
	}
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want none", n)
	}
	for _, contentType := range []string{"application/json", "Application/JSON", "application/json;charset=utf-8", "application/json; charset=UTF-8", `application/json ;  charset="utf-8"`} {
		a := g.request(t, "POST", "/api/v1/leads", body, bearerOf(secretA), "Content-Type: "+contentType)
		r, _, _ := g.runner.last()
		if a.status != 200 || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%q = %d, the runner got %q; want 200, application/json", contentType, a.status, r.Header["Content-Type"])
		}
	}
}

// TestBodyKeepsItsType: a caller cannot have the type of a body removed on the way to the runner.
func TestBodyKeepsItsType(t *testing.T) {
	g := newGate(t, nil, withKeys(t, limitedKeys))
	for target, body := range map[string]string{
		"/api/v1/leads":                     `{"chatflowid":"` + botA + `"}`,
		"/api/v1/prediction/" + botA:        `{"question":"x"}`,
		"/api/v1/prediction/" + botJSONOnly: `{"question":"x"}`,
	} {
		a := g.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: gate\r\nConnection: close, Content-Type, Content-Encoding\r\n%s\r\nContent-Encoding: identity\r\n%s\r\nContent-Length: %d\r\n\r\n%s", target, jsonType, bearerOf(secretA), len(body), body))
		r, _, _ := g.runner.last()
		if a.status != 200 || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Content-Encoding") != "identity" {
			t.Errorf("POST %s = %d; the runner got type %q, encoding %q", target, a.status, r.Header["Content-Type"], r.Header["Content-Encoding"])
		}
	}
}

// TestPreflightOfAnyMethod: a runner whose route takes every method may take OPTIONS for a call, as
// Flowise 3.1.4 does with webhooks from origins that it does not know.
func TestPreflightOfAnyMethod(t *testing.T) {
	preflight := []string{"Origin: https://page.example", "Access-Control-Request-Method: POST"}
	g := newGate(t, nil, nil)
	a := g.request(t, "OPTIONS", "/api/v1/webhook/"+botA, "", preflight...)
	checkProblem(t, a, 405, problem.MethodNotAllowed)
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want none", n)
	}
	own := newGate(t, nil, func(o *proxy.Options) { o.CORSOrigins = []string{"https://page.example"} })
	if a := own.request(t, "OPTIONS", "/api/v1/webhook/"+botA, "", preflight...); a.status != 204 {
		t.Errorf("preflight that the gate answers = %d, want 204", a.status)
	}
}

// TestTwoLengths has a request with a length and chunks: what the two leave between them must not be a
// request (RFC 9112, section 6.1).
func TestTwoLengths(t *testing.T) {
	g := newGate(t, nil, nil)
	c := g.dial(t)
	hidden := fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: hidden\r\n%s\r\nContent-Length: 0\r\n\r\n", botA, bearerOf(secretA))
	fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n%s", botA, bearerOf(secretA), 5+len(hidden), hidden)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if _, err := r.ReadByte(); err == nil || !res.Close {
		t.Errorf("after %s the connection goes on", res.Status)
	}
	if _, _, n := g.runner.last(); n > 1 {
		t.Errorf("%d requests reached the runner, want 1 at most", n)
	}
}

// TestUnfinishedRequest ends its body too early: no answer may look as if the runner had given it.
func TestUnfinishedRequest(t *testing.T) {
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, nil, change) //nolint:thelper // a test, not a helper
		for name, head := range map[string]string{
			"by its length": "Content-Length: 200\r\n\r\n{}",
			"in chunks":     "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		} {
			c := g.dial(t)
			fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\n%s", botA, bearerOf(secretA), head)
			_ = c.(*net.TCPConn).CloseWrite()
			said, _ := io.ReadAll(c)
			if s := string(said); s != "" && !strings.HasPrefix(s, "HTTP/1.1 4") {
				t.Errorf("unfinished %s: %.80q, want a refusal or nothing", name, s)
			}
		}
	})
}
