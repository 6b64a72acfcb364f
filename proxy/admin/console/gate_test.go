package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/admin/signin"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const (
	token = "0123456789abcdef0123456789abcdef"

	botA = "3f1c2a9e-1111-4222-8333-444455556666"
	botB = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc"
	botC = "00000000-0000-4000-8000-00000000000c"

	secretA = "secret-of-a-0123456789"
)

// keyFile has comments, which edits must keep.
const keyFile = `version: 1 # ours
keys:
  # Jane's
  - {id: key-a, secret: ` + secretA + `}
  - {id: off, secret: secret-disabled-0123456789, disabled: true}
chatflows:
  - {id: ` + botA + `, name: support, keys: [key-a, off]}
  - {id: ` + botB + `, keys: [key-a]} # see the wiki
`

// gate is a gate with an admin listener on which keys can be changed.
type gate struct {
	http.Handler
	url  string // for clients
	keys string // path of the key file
	log  *testkit.Buffer
}

func newGate(t *testing.T, keys string) *gate {
	t.Helper()
	return newGateAt(t, testkit.WriteFile(t, "keys.yaml", keys), token)
}

// newGateAt starts a gate with a key file that exists. Without a token nobody may change it.
func newGateAt(t *testing.T, path, token string) *gate {
	t.Helper()
	upstream := testkit.Upstream(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return newGateBefore(t, upstream.URL, path, token, "")
}

// newGateBefore is like newGateAt, but in front of a given upstream, and with the path of a file with the upstream's
// API key.
func newGateBefore(t *testing.T, upstream, path, token, upstreamAPI string) *gate {
	t.Helper()
	to, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{keys: path, log: &testkit.Buffer{}}
	log := zerolog.New(g.log)
	store, err := keystore.Open(path, keystore.Options{MayBeEmpty: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxy.New(proxy.Options{Store: store, Upstream: to, Version: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	var door *signin.Door
	if token != "" {
		door, err = signin.Open(signin.Options{File: testkit.WriteFile(t, "admin.token", token), Log: log})
		if err != nil {
			t.Fatal(err)
		}
	}
	g.Handler = admin.New(p, admin.Options{Door: door, ClientPort: "8080", UpstreamAPI: upstreamAPI})
	clients := httptest.NewServer(p)
	t.Cleanup(clients.Close)
	g.url = clients.URL
	return g
}

// unwritable returns the path of a key file beside which no temporary file can be made, because the name of that would
// be too long.
func unwritable(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), strings.Repeat("k", 240)+".yaml")
	if err := os.WriteFile(path, []byte(keyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// request sends a request to the admin listener, with headers given as "Name: value".
func (g *gate) request(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:9901"+target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

// api asks as a program with the token does, for a version of the key file, and returns the status and the response.
func (g *gate) api(t *testing.T, method, target, version, body string) (int, map[string]any) {
	t.Helper()
	headers := []string{"Authorization: Bearer " + token, "Content-Type: application/json"}
	if version != "" {
		headers = append(headers, "If-Match: "+version)
	}
	w := g.request(method, target, body, headers...)
	var response map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &response); err != nil {
		t.Fatalf("%s %s = %d %s, want JSON: %v", method, target, w.Code, w.Body, err)
	}
	return w.Code, response
}

// do is like api, for requests that must succeed.
func (g *gate) do(t *testing.T, method, target, body string) map[string]any {
	t.Helper()
	status, response := g.api(t, method, target, "*", body)
	if status >= 300 {
		t.Fatalf("%s %s %s = %d %v", method, target, body, status, response)
	}
	return response
}

// version returns the ETag of the key file.
func (g *gate) version(t *testing.T) string {
	t.Helper()
	return g.request("GET", "/api/keys", "", "Authorization: Bearer "+token).Header().Get("ETag")
}

// call sends a client's request for a chatflow and returns the status.
func (g *gate) call(t *testing.T, chatflow, secret string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/api/v1/prediction/"+chatflow, strings.NewReader("{}"))
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
	res.Body.Close()
	return res.StatusCode
}

func (g *gate) file(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(g.keys)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// signIn signs in and returns the Cookie header for later requests.
func (g *gate) signIn(t *testing.T) string {
	t.Helper()
	w := g.request("POST", "/console/sign-in", url.Values{"token": {token}}.Encode(), "Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin")
	cookies := w.Result().Cookies()
	if w.Code != 303 || len(cookies) != 1 {
		t.Fatalf("signing in = %d with %d cookies: %s", w.Code, len(cookies), w.Body)
	}
	return "Cookie: " + cookies[0].Name + "=" + cookies[0].Value
}
