package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// bubbleTLS is bubble with TLS for callers.
func bubbleTLS(t *testing.T, handler http.HandlerFunc, do func(t *testing.T, gate *pipeListener)) {
	t.Helper()
	var files certificate.Files
	files.ServerCert, files.ServerKey = certificatetest.New(t, "authority").Issue(t, "gate", time.Hour).Write(t, t.TempDir())
	store, err := certificate.Open(files, certificate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bubbleWith(t, Options{Certificates: store}, handler, do)
}

// clientTLS checks no certificate, since a bubble's time is another.
func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
}

const bubbleKey = "0123456789abcdef"

// pipeListener is a listener whose connections are pipes, so that time can be made to pass.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

const bubbleBot = "3f1c2a9e-1111-4222-8333-444455556666"

// bubble calls do with a gate whose time is made to pass: the server and the transport that `flowlatch
// serve` uses, with all their timeouts, before a runner that answers with handler.
func bubble(t *testing.T, handler http.HandlerFunc, do func(t *testing.T, gate *pipeListener)) {
	t.Helper()
	bubbleWith(t, Options{}, handler, do)
}

// bubbleWith is bubble with more options.
func bubbleWith(t *testing.T, o Options, handler http.HandlerFunc, do func(t *testing.T, gate *pipeListener)) {
	t.Helper()
	keys := testkit.WriteFile(t, "keys.yaml", "version: 1\nkeys:\n- {id: a, secret: 0123456789abcdef}\nchatflows:\n- {id: "+bubbleBot+", keys: [a]}\n")
	synctest.Test(t, func(t *testing.T) {
		store, err := keystore.Open(keys, keystore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		upstream, gate, admin := newPipeListener(), newPipeListener(), newPipeListener()
		runner := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		go func() { _ = runner.Serve(upstream) }()
		o.Store, o.Upstream = store, &url.URL{Scheme: "http", Host: "runner"}
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		p.dial = upstream.dial
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Serve(ctx, gate, admin, http.NotFoundHandler(), time.Second) }()
		do(t, gate)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		_ = runner.Close()
		p.transport.CloseIdleConnections()
	})
}

// dialTLS opens a connection by TLS for HTTP/1.1.
func dialTLS(t *testing.T, gate *pipeListener) *tls.Conn {
	t.Helper()
	raw, err := gate.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	config := clientTLS()
	config.NextProtos = []string{"http/1.1"}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}
