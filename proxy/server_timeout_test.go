package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// TestTLSCallerThatSaysNothing opens connections and says nothing, before TLS is agreed upon and after it.
func TestTLSCallerThatSaysNothing(t *testing.T) {
	bubbleTLS(t, nil, func(t *testing.T, gate *pipeListener) {
		for _, agree := range []bool{false, true} {
			raw, err := gate.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			conn := raw
			if agree {
				secure := tls.Client(raw, clientTLS())
				if err := secure.HandshakeContext(t.Context()); err != nil {
					t.Fatal(err)
				}
				conn = secure
			}
			begin := time.Now()
			_, _ = io.Copy(io.Discard, conn)
			if took := time.Since(begin); took > headerTimeout+time.Second {
				t.Errorf("with TLS agreed upon %t the connection was closed after %v, want %v", agree, took, headerTimeout)
			}
			raw.Close()
		}
	})
}

// TestSlowCallers has callers who take their time, with the server that `flowlatch serve` uses and in
// time of a bubble. Each connection must end by itself, or a few thousand of them are all there are.
func TestSlowCallers(t *testing.T) {
	const id = "3f1c2a9e-1111-4222-8333-444455556666"
	keys := testkit.WriteFile(t, "keys.yaml", "version: 1\nkeys:\n- {id: a, secret: 0123456789abcdef}\nchatflows:\n- {id: "+id+", keys: [a]}\n")
	const key = "Authorization: Bearer 0123456789abcdef\r\n"
	for _, tt := range []struct {
		name string
		send string        // at once
		drip string        // then, again and again
		wait time.Duration // between two
		want int           // status of the last answer, 0 for none
		max  time.Duration // the connection is closed by then
		also time.Duration // and was open at least so long
	}{
		{"nothing", "", "", time.Second, 0, 11 * time.Second, 9 * time.Second},
		{"head that ends in the middle", "POST /api/v1/prediction/" + id + " HTTP/1.1\r\nHost: g", "", time.Second, 0, 11 * time.Second, 9 * time.Second},
		{"head byte by byte", "POST /api/v1/prediction/" + id + " HTTP/1.1\r\nX: ", "x", 3 * time.Second, 0, 11 * time.Second, 9 * time.Second},
		{"head line by line", "POST /api/v1/prediction/" + id + " HTTP/1.1\r\n", "X: y\r\n", 3 * time.Second, 0, 11 * time.Second, 9 * time.Second},
		{"idle after an answer", "GET /api/v1/ping HTTP/1.1\r\nHost: g\r\n\r\n", "", time.Second, 200, 2*time.Minute + time.Second, 119 * time.Second},
		{"second head in the middle", "GET /api/v1/ping HTTP/1.1\r\nHost: g\r\n\r\nGET /api", "", time.Second, 400, 2*time.Minute + time.Second, 9 * time.Second},
		{
			"body that stops", "POST /api/v1/prediction/" + id + " HTTP/1.1\r\nHost: g\r\n" + key + "Content-Length: 100\r\n\r\nhalf", "", time.Second,
			400, 62 * time.Second, 59 * time.Second,
		},
		{
			"chunk that stops", "POST /api/v1/prediction/" + id + " HTTP/1.1\r\nHost: g\r\n" + key + "Transfer-Encoding: chunked\r\n\r\n64\r\nhalf", "", time.Second,
			400, 62 * time.Second, 59 * time.Second,
		},
		{
			"body with a chatflow that stops", "POST /api/v1/leads HTTP/1.1\r\nHost: g\r\n" + key + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{", "", time.Second,
			400, 12 * time.Second, 9 * time.Second,
		},
		{
			"body with a chatflow byte by byte", "POST /api/v1/leads HTTP/1.1\r\nHost: g\r\n" + key + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{", " ", 3 * time.Second,
			400, 12 * time.Second, 9 * time.Second,
		},
		{
			"body nobody wants", "POST /api/v1/prediction/" + id + " HTTP/1.1\r\nHost: g\r\nContent-Length: 100\r\n\r\n", "x", 100 * time.Millisecond,
			401, 2 * time.Second, 0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := keystore.Open(keys, keystore.Options{})
				if err != nil {
					t.Fatal(err)
				}
				upstream, data, admin := newPipeListener(), newPipeListener(), newPipeListener()
				runner := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })}
				go func() { _ = runner.Serve(upstream) }()
				p, err := New(Options{Store: store, Upstream: &url.URL{Scheme: "http", Host: "runner"}, Expose: []string{"predict", "widget"}})
				if err != nil {
					t.Fatal(err)
				}
				p.dial = upstream.dial
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- p.Serve(ctx, data, admin, http.NotFoundHandler(), time.Second) }()

				conn, err := data.dial(ctx, "", "")
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				gone := make(chan struct{})
				go func() {
					text := tt.send
					for {
						if text != "" { // a pipe's reader would get a piece of nothing
							if _, err := io.WriteString(conn, text); err != nil {
								return
							}
						}
						select {
						case <-gone:
							return
						case <-time.After(tt.wait): // of the bubble's time
						}
						text = tt.drip
					}
				}()
				_ = conn.SetReadDeadline(begin.Add(time.Hour))
				status, err := lastStatus(conn)
				took := time.Since(begin)
				var timeout net.Error
				switch {
				case errors.As(err, &timeout) && timeout.Timeout():
					t.Errorf("the connection is open after %v", took)
				case took > tt.max || took < tt.also:
					t.Errorf("the connection was closed after %v, want %v to %v", took, tt.also, tt.max)
				case status != tt.want:
					t.Errorf("last answer = %d, want %d", status, tt.want)
				}
				close(gone)
				conn.Close()
				stop()
				if err := <-ended; err != nil {
					t.Errorf("Serve = %v, want nil", err)
				}
				_ = runner.Close()
				p.transport.CloseIdleConnections()
			})
		})
	}
}

// lastStatus reads answers until the connection ends, and returns the status of the last.
func lastStatus(r io.Reader) (status int, err error) {
	in := bufio.NewReader(r)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return status, err
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return status, fmt.Errorf("reading a body: %w", err)
		}
		status = res.StatusCode
	}
}
