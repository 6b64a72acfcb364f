package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

const (
	webChatflow   = "3f1c2a9e-1111-4222-8333-444455556666"
	batchChatflow = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc"
)

// gate is a running flowlatch with a key for each of its two chatflows.
type gate struct {
	*testkit.Gate
	web, batch string // secrets
}

// startGate starts a gate in front of an upstream.
func startGate(t *testing.T, upstream http.Handler, args ...string) *gate {
	t.Helper()
	return startGateWith(t, testkit.Options{Upstream: testkit.Upstream(t, upstream).URL, Args: args})
}

// startGateWith starts a gate with options. The key file is always the gate's own.
func startGateWith(t *testing.T, o testkit.Options) *gate {
	t.Helper()
	g := &gate{web: keystore.Generate(), batch: keystore.Generate()}
	o.Keys = g.keyFile()
	g.Gate = testkit.Serve(t, o)
	return g
}

func (g *gate) keyFile() string {
	return `version: 1
keys:
  - id: acme-web
    sha256: ` + keystore.DigestOf(g.web).String() + `
  - id: batch
    sha256: ` + keystore.DigestOf(g.batch).String() + `
chatflows:
  - id: ` + webChatflow + `
    name: support-bot
    keys: [acme-web]
  - id: ` + batchChatflow + `
    keys: [batch]
`
}

// predict asks for a prediction.
func (g *gate) predict(t *testing.T, chatflow, key string) response {
	t.Helper()
	return send(t, http.MethodPost, g.URL+"/api/v1/prediction/"+chatflow, key, `{"question":"Hello?"}`)
}

// response is a response that was read.
type response struct {
	status int
	header http.Header
	body   string
}

// code returns the code of an error response, or "" for other responses.
func (r response) code() string {
	var problem struct{ Code string }
	if json.Unmarshal([]byte(r.body), &problem) != nil {
		return ""
	}
	return problem.Code
}

// send sends a request over a connection of its own. An empty key means none.
func send(t *testing.T, method, url, key, body string) response {
	t.Helper()
	res := open(t, method, url, key, body)
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return response{res.StatusCode, res.Header, string(raw)}
}

// open sends a request and returns when the response header has come.
func open(t *testing.T, method, url, key, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testkit.Timeout}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// echo is an upstream that responds with the request's body.
type echo struct {
	requests chan *http.Request // the first thousand
}

func newEcho() *echo { return &echo{requests: make(chan *http.Request, 1000)} }

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case e.requests <- r:
	default:
	}
	_, _ = io.Copy(w, r.Body)
}
