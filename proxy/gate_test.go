package proxy_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/admin"
)

// The chatflows and secrets of the tests' key file.
const (
	botA      = "3f1c2a9e-1111-4222-8333-444455556666"
	botB      = "8d2b6c1f-7777-4888-9999-aaaabbbbcccc"
	botPublic = "00000000-0000-4000-8000-00000000000a"
	botKeyed  = "00000000-0000-4000-8000-00000000000b" // has a key of its own in Flowise
	unlisted  = "ffffffff-ffff-4fff-8fff-ffffffffffff"

	secretA        = "secret-of-a-0123456789"
	secretB        = "secret-of-b-0123456789"
	secretOps      = "secret-of-ops-0123456789"
	secretExpired  = "secret-expired-0123456789"
	secretDisabled = "secret-disabled-0123456789"
	secretFuture   = "secret-of-the-future-0123456789"
)

const keyFile = `version: 1
keys:
  - {id: key-a, secret: ` + secretA + `}
  - {id: key-b, secret: ` + secretB + `}
  - {id: ops, secret: ` + secretOps + `}
  - {id: old, secret: ` + secretExpired + `, not_after: 2020-01-01T00:00:00Z}
  - {id: off, secret: ` + secretDisabled + `, disabled: true}
  - {id: new, secret: ` + secretFuture + `, not_before: 2200-01-01T00:00:00Z}
chatflows:
  - {id: ` + botA + `, name: bot-a, keys: [key-a, old, off, new]}
  - {id: ` + botB + `, keys: [key-b]}
  - {id: ` + botKeyed + `, keys: [key-a], upstream_authorization: forward}
  - {id: "*", keys: [ops]}
`

const publicEntry = `  - {id: ` + botPublic + `, public: true}
`

// upstream is an HTTP server that keeps the requests that reach it.
type upstream struct {
	*httptest.Server
	connections atomic.Int64
	mu          sync.Mutex
	requests    []*http.Request // with their bodies already read
	bodies      [][]byte
	handler     http.HandlerFunc // responds; if nil, the response is 200 and JSON
}

func newUpstream(t *testing.T, handler http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{handler: handler}
	u.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u.handler != nil {
			u.mu.Lock()
			u.requests = append(u.requests, r)
			u.mu.Unlock()
			u.handler(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.requests, u.bodies = append(u.requests, r), append(u.bodies, body)
		u.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"text":"hello"}`))
	}))
	u.Config.ErrorLog = log.New(io.Discard, "", 0) // handlers leave bodies unread on purpose
	u.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			u.connections.Add(1)
		}
	}
	u.Start()
	t.Cleanup(u.Close)
	return u
}

// last returns the last request that reached the upstream, and how many did.
func (u *upstream) last() (r *http.Request, body string, n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n = len(u.requests); n > 0 {
		r = u.requests[n-1]
	}
	if len(u.bodies) > 0 {
		body = string(u.bodies[len(u.bodies)-1])
	}
	return r, body, n
}

// gate is a gate before an upstream, with real sockets on both sides.
type gate struct {
	*httptest.Server
	proxy    *proxy.Proxy
	admin    *admin.Admin
	upstream *upstream
	log      *testkit.Buffer
	keys     string // path of the key file
	address  string // where clients connect
}

// newGate starts a gate before an upstream that responds with handler. Both handler and change may be nil.
func newGate(t *testing.T, handler http.HandlerFunc, change func(*proxy.Options)) *gate {
	t.Helper()
	g := &gate{upstream: newUpstream(t, handler), log: &testkit.Buffer{}, keys: testkit.WriteFile(t, "keys.yaml", keyFile)}
	o := proxy.Options{
		Upstream: mustURL(t, g.upstream.URL), Log: zerolog.New(g.log).Level(zerolog.InfoLevel), Version: "test",
		Expose: []string{"predict", "widget", "upsert", "mcp", "webhook"},
	}
	if change != nil {
		change(&o)
	}
	if o.Store == nil {
		o.Store = openStore(t, g.keys)
	}
	var err error
	if g.proxy, err = proxy.New(o); err != nil {
		t.Fatal(err)
	}
	g.admin = admin.New(g.proxy, admin.Options{})
	g.Server = httptest.NewServer(g.proxy)
	g.Config.DisableGeneralOptionsHandler = true
	g.address = g.Listener.Addr().String()
	t.Cleanup(g.Close)
	return g
}

func openStore(t *testing.T, path string) *keystore.Store {
	t.Helper()
	s, err := keystore.Open(path, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withKeys returns a change of options that sets another key file.
func withKeys(t *testing.T, content string) func(*proxy.Options) {
	t.Helper()
	path := testkit.WriteFile(t, "keys.yaml", content)
	return func(o *proxy.Options) { o.Store = openStore(t, path) }
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// untilGone waits until the gate has given up a request. It reads the body first, because only after that does net/http
// notice that a connection was closed.
func untilGone(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// open returns how many requests are open.
func (g *gate) open() int64 {
	n, _ := g.proxy.OpenRequests()
	return n
}

// adminGet sends a request to the handler for operators.
func (g *gate) adminGet(t *testing.T, method, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	g.admin.ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
	return w.Code, w.Body.String()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// atFullSize returns the size of a flood: full if long tests run, else short.
func atFullSize(full, short int) int {
	if testkit.Long() {
		return full
	}
	return short
}

// bothTransports runs a test with each transport to the upstream, in parallel.
func bothTransports(t *testing.T, run func(t *testing.T, change func(*proxy.Options))) {
	t.Helper()
	for name, standard := range map[string]bool{"direct": false, "standard": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, func(o *proxy.Options) { o.StandardTransport = standard })
		})
	}
}

// begun is how many bytes of a body must have arrived before the transports begin to send a request.
const begun = 16 << 10

// served is a gate that runs with Proxy.Serve, like that of the command.
type served struct {
	*gate
	base, adminURL string             // URLs
	data           net.Listener       // for clients
	stop           context.CancelFunc // begins the drain
	ended          chan error         // what Serve returned
}

func serveGate(t *testing.T, handler http.HandlerFunc, drain time.Duration) *served {
	t.Helper()
	return serveGateWith(t, handler, drain, nil)
}

func serveGateWith(t *testing.T, handler http.HandlerFunc, drain time.Duration, change func(*proxy.Options)) *served {
	t.Helper()
	s := &served{gate: newGate(t, handler, change), ended: make(chan error, 1)}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	operators := listen()
	s.data = listen()
	s.address = s.data.Addr().String()
	s.base, s.adminURL = "http://"+s.address, "http://"+operators.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.ended <- s.proxy.Serve(ctx, s.data, operators, s.admin, drain) }()
	t.Cleanup(stop)
	return s
}

// status gets a URL and returns the status of the response.
func status(t *testing.T, url string) int {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
