package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

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

// TestStreamOfAnHour lets an hour pass between two events of a stream, with the server and the
// transport that `flowlatch serve` uses and all their timeouts.
func TestStreamOfAnHour(t *testing.T) {
	const id = "3f1c2a9e-1111-4222-8333-444455556666"
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(keys, []byte("version: 1\nkeys:\n- {id: a, secret: 0123456789abcdef}\nchatflows:\n- {id: "+id+", keys: [a]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		store, err := keystore.Open(keys, keystore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		upstream, gate, admin := newPipeListener(), newPipeListener(), newPipeListener()
		runner := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				if i > 0 {
					time.Sleep(time.Hour) // of the bubble's time
				}
				fmt.Fprintf(w, "data:%d\n", i)
				_ = http.NewResponseController(w).Flush()
			}
		}), ReadHeaderTimeout: time.Minute}
		go func() { _ = runner.Serve(upstream) }()
		p, err := New(Options{Store: store, Upstream: &url.URL{Scheme: "http", Host: "runner"}})
		if err != nil {
			t.Fatal(err)
		}
		p.dial = upstream.dial
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Serve(ctx, gate, admin, time.Second) }()

		client := &http.Transport{DialContext: gate.dial}
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://gate/api/v1/prediction/"+id, strings.NewReader(`{"streaming":true}`))
		req.Header.Set("Authorization", "Bearer 0123456789abcdef")
		res, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(res.Body)
		begin := time.Now()
		for i := range 3 {
			if line, err := r.ReadString('\n'); line != fmt.Sprintf("data:%d\n", i) {
				t.Fatalf("after %v: read %q, %v", time.Since(begin), line, err)
			}
		}
		if got := time.Since(begin); got < 2*time.Hour {
			t.Errorf("the stream took %v of the bubble's time, want two hours", got)
		}
		res.Body.Close()
		client.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		_ = runner.Close()
		p.transport.(*http.Transport).CloseIdleConnections()
	})
}
