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
	return startGateWith(t, upstream, testkit.Options{Args: args})
}

// startGateWith starts a gate of another build, or with other variables.
func startGateWith(t *testing.T, upstream http.Handler, o testkit.Options) *gate {
	t.Helper()
	g := &gate{web: keystore.Generate(), batch: keystore.Generate()}
	o.Keys, o.Upstream = g.keyFile(), testkit.Upstream(t, upstream).URL
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
func (g *gate) predict(t *testing.T, chatflow, key string) answer {
	t.Helper()
	return send(t, http.MethodPost, g.URL+"/api/v1/prediction/"+chatflow, key, `{"question":"Hello?"}`)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is the code of an error answer.
func (a answer) code() string {
	var problem struct{ Code string }
	if json.Unmarshal([]byte(a.body), &problem) != nil {
		return ""
	}
	return problem.Code
}

// send sends a request over a connection of its own. An empty key means none.
func send(t *testing.T, method, url, key, body string) answer {
	t.Helper()
	res := open(t, method, url, key, body)
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return answer{res.StatusCode, res.Header, string(raw)}
}

// open sends a request and returns when the head of its answer is there.
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

// echo is a runner that answers with what it was asked, and counts.
type echo struct{ requests chan *http.Request }

func newEcho() *echo { return &echo{requests: make(chan *http.Request, 1000)} }

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.requests <- r
	_, _ = io.Copy(w, r.Body)
}
