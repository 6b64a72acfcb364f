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

// TestNoProxyFromEnvironment sets HTTP_PROXY and the like: keys and questions must go to the upstream and nowhere else.
func TestNoProxyFromEnvironment(t *testing.T) {
	t.Parallel()
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
	// http.ProxyFromEnvironment uses no proxy for 127.0.0.1. It would use one for 0.0.0.0, which reaches this host too.
	upstream := newEcho()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: upstream}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	g := startGateWith(t, testkit.Options{Upstream: "http://" + l.Addr().String(), Env: env})
	if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK {
		t.Errorf("predict = %d %s, want 200 from the upstream", res.status, res.body)
	}
	g.WantExit(t, syscall.SIGTERM)
	if n := connections.Load(); n != 0 {
		t.Errorf("connections to the proxy of the environment = %d, want 0", n)
	}
}
