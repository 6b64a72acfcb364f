package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
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

// The chatflows and the secret of a bubble's key file.
const (
	bubbleBot     = "3f1c2a9e-1111-4222-8333-444455556666"
	bubbleLimited = "3f1c2a9e-2222-4222-8333-444455556666" // with a limit on requests at once
	bubbleAborts  = "3f1c2a9e-3333-4222-8333-444455556666" // with on_disconnect: abort
	bubbleKey     = "0123456789abcdef"
)

// bubbleRequest begins a request for the chatflow, up to the end of its header.
const bubbleRequest = "POST /api/v1/prediction/" + bubbleBot + " HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer " + bubbleKey + "\r\n"

// bubble calls do with a gate in a bubble of testing/synctest, where hours pass at once. The gate has the server and the
// transport that `flowlatch serve` uses, with all their timeouts, and an upstream that responds with handler. Connections
// are pipes, because time does not pass in a bubble while something waits for a socket.
func bubble(t *testing.T, o Options, handler http.HandlerFunc, do func(t *testing.T, gate *pipeListener)) {
	t.Helper()
	keys := testkit.WriteFile(t, "keys.yaml", "version: 1\nkeys:\n- {id: a, secret: "+bubbleKey+"}\nchatflows:\n- {id: "+bubbleBot+", keys: [a]}\n- {id: "+bubbleLimited+", keys: [a], limits: {concurrent: 9}}\n- {id: "+bubbleAborts+", keys: [a], on_disconnect: abort}\n")
	synctest.Test(t, func(t *testing.T) {
		store, err := keystore.Open(keys, keystore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		upstream, gate, admin := newPipeListener(), newPipeListener(), newPipeListener()
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(upstream) }()
		o.Store, o.Upstream = store, &url.URL{Scheme: "http", Host: "upstream"}
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
		_ = server.Close()
		p.transport.CloseIdleConnections()
	})
}

// withCertificate returns options with a certificate for TLS with clients.
func withCertificate(t *testing.T) Options {
	t.Helper()
	var files certificate.Files
	files.ServerCert, files.ServerKey = certificatetest.New(t, "CA").Issue(t, "gate", time.Hour).Write(t, t.TempDir())
	store, err := certificate.Open(files, certificate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Certificates: store}
}

// pipeListener is a listener whose connections are pipes.
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

// connect opens a connection.
func (l *pipeListener) connect(t *testing.T) net.Conn {
	t.Helper()
	conn, err := l.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// connectTLS opens a connection over TLS for a protocol: h2 or http/1.1.
func (l *pipeListener) connectTLS(t *testing.T, protocol string) *tls.Conn {
	t.Helper()
	conn := tls.Client(l.connect(t), clientTLS(protocol))
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// clientTLS verifies no certificate, because a bubble has its own time.
func clientTLS(protocol string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}
}

// threeEvents is an upstream that streams three events, and waits an hour after each.
func threeEvents(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range 3 {
		fmt.Fprintf(w, "data:%d\n", i)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(time.Hour)
	}
}

// readUpTo reads lines up to the one wanted, which must come.
func readUpTo(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	for line := ""; line != want; {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatalf("reading up to %q: %v", want, err)
		}
	}
}
