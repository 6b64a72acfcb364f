package main

import (
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

// TestNoProxyFromEnvironment sets the variables by which programs are told of a proxy: what goes to the
// runner are keys and questions, and they go there and nowhere else.
func TestNoProxyFromEnvironment(t *testing.T) {
	elsewhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { elsewhere.Close() })
	var connections atomic.Int64
	go func() {
		for {
			conn, err := elsewhere.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			conn.Close()
		}
	}()
	var env []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		env = append(env, name+"=http://"+elsewhere.Addr().String(), strings.ToLower(name)+"=http://"+elsewhere.Addr().String())
	}
	// Go's own variables would not count for 127.0.0.1, by which name everybody knows the runner. It
	// listens on every address of IPv4 for this.
	runner := newEcho()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: runner}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	g := startGateWith(t, runner, testkit.Options{Env: env, Args: []string{"--upstream", "http://" + l.Addr().String()}})
	if a := g.predict(t, webChatflow, g.web); a.status != http.StatusOK {
		t.Errorf("predict = %d %s, want 200 from the runner", a.status, a.body)
	}
	g.WantExit(t, syscall.SIGTERM)
	if n := connections.Load(); n != 0 {
		t.Errorf("connections to the proxy of the environment = %d, want 0", n)
	}
}
