package admin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/admin"
)

// The chatflows and secrets of the tests' key file.
const (
	botA     = "3f1c2a9e-1111-4222-8333-444455556666"
	botB     = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc"
	botC     = "00000000-0000-4000-8000-00000000000c"
	unlisted = "ffffffff-ffff-4fff-8fff-ffffffffffff"

	secretA   = "secret-of-a-0123456789"
	secretB   = "secret-of-b-0123456789"
	secretOps = "secret-of-ops-0123456789"
)

const keyFile = `version: 1
keys:
  - {id: key-a, secret: ` + secretA + `}
  - {id: key-b, secret: ` + secretB + `}
  - {id: ops, secret: ` + secretOps + `}
  - {id: old, secret: secret-expired-0123456789, not_after: 2020-01-01T00:00:00Z}
  - {id: off, secret: secret-disabled-0123456789, disabled: true}
  - {id: new, secret: secret-of-the-future-0123456789, not_before: 2200-01-01T00:00:00Z}
chatflows:
  - {id: ` + botA + `, name: bot-a, keys: [key-a, old, off, new]}
  - {id: ` + botB + `, keys: [key-b]}
  - {id: ` + botC + `, keys: [key-a]}
  - {id: "*", keys: [ops]}
`

// gate is a gate in front of an upstream, and its handler for operators.
type gate struct {
	*admin.Admin
	proxy *proxy.Proxy
	url   string // for clients
	keys  string // path of the key file
}

// newGate starts a gate with a key file. A nil upstream responds 200 to everything.
func newGate(t *testing.T, keys string, upstream http.HandlerFunc) *gate {
	t.Helper()
	if upstream == nil {
		upstream = func(http.ResponseWriter, *http.Request) {}
	}
	to, err := url.Parse(testkit.Upstream(t, upstream).URL)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{keys: testkit.WriteFile(t, "keys.yaml", keys)}
	store, err := keystore.Open(g.keys, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if g.proxy, err = proxy.New(proxy.Options{Store: store, Upstream: to, Version: "test"}); err != nil {
		t.Fatal(err)
	}
	g.Admin = admin.New(g.proxy, admin.Options{})
	clients := httptest.NewServer(g.proxy)
	t.Cleanup(clients.Close)
	g.url = clients.URL
	return g
}

// send sends a client's request, with a key unless the secret is empty. The body of the response is closed with the
// test.
func (g *gate) send(t *testing.T, path, secret, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// post sends a client's request and returns the status of the response.
func (g *gate) post(t *testing.T, path, secret, body string) int {
	t.Helper()
	res := g.send(t, path, secret, body)
	res.Body.Close()
	return res.StatusCode
}

// ask sends an operator's request, with headers given as "Name: value" lines.
func (g *gate) ask(method, target, host string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Host = host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

// reload replaces the content of the key file, and asks the gate to reload it.
func (g *gate) reload(t *testing.T, content string) (status int, body string) {
	t.Helper()
	testkit.ReplaceFile(t, g.keys, content)
	w := g.ask("POST", "/-/reload", "localhost")
	return w.Code, w.Body.String()
}

// status returns the status, or the part of it that a query asks for.
func (g *gate) status(t *testing.T, query string) (s admin.Status) {
	t.Helper()
	w := g.ask("GET", "/status"+query, "127.0.0.1:9901")
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 200 {
		t.Fatalf("status%s = %d, %v: %s", query, w.Code, err, w.Body)
	}
	return s
}
