package testkit

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Gate is a flowlatch process that serves.
type Gate struct {
	*Process
	URL   string // of the listener for clients
	Admin string // URL of the listener for operators
	Keys  string // path of the key file; empty unless Serve started the gate
}

// Options say how Serve starts a gate.
type Options struct {
	Program  string   // path of the program; empty means Build(t)
	Keys     string   // content of the key file
	Upstream string   // URL of the upstream
	Env      []string // variables, added to a minimal environment
	Args     []string // flags, added to those that Serve sets, which they override
}

// Serve starts "flowlatch serve" on free ports and waits until it is serving.
func Serve(t testing.TB, o Options) *Gate {
	t.Helper()
	if o.Program == "" {
		o.Program = Build(t)
	}
	keys := WriteFile(t, "keys.yaml", o.Keys)
	g := Serving(t, Start(t, o.Program, o.Env, append([]string{
		"serve", "--listen", "127.0.0.1:0", "--admin", "localhost:0", "--keys", keys, "--upstream", o.Upstream,
	}, o.Args...)...))
	g.Keys = keys
	return g
}

// Serving waits until a process that was started as "flowlatch serve" is serving, and reads its addresses from its log.
func Serving(t testing.TB, p *Process) *Gate {
	t.Helper()
	line := p.AwaitLog(t, "serving")
	listen, _ := line["listen"].(string)
	admin, _ := line["admin"].(string)
	g := &Gate{Process: p, URL: "http://" + listen, Admin: "http://" + admin}
	if line["tls"] == true {
		g.URL = "https://" + listen
	}
	return g
}

// Upstream starts an HTTP server for the gate to forward to. It ends with the test, and does not wait for streams that
// a failed test left open.
func Upstream(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}
