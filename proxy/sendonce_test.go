package proxy_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// breakingUpstream responds to the first request of each connection, and closes the connection after reading a second
// one. It notes the request IDs that it reads.
type breakingUpstream struct {
	net.Listener
	mu   sync.Mutex
	read []string
}

func (u *breakingUpstream) serve() {
	for {
		conn, err := u.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			r := bufio.NewReader(conn)
			for n := 0; n < 2; n++ {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				u.mu.Lock()
				u.read = append(u.read, req.Header.Get("X-Request-Id"))
				u.mu.Unlock()
				if n == 0 {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=60\r\n\r\nok")
				}
			}
		}()
	}
}

// TestRequestsAreSentOnce has an upstream that breaks off after reading a request on a reused connection. net/http's
// Transport repeats some of these requests by itself, so a webhook would run twice.
func TestRequestsAreSentOnce(t *testing.T) {
	ca := certificatetest.New(t, "CA")
	bundle := t.TempDir() + "/ca.pem"
	certificatetest.Write(t, bundle, ca.PEM)
	var files certificate.Files
	files.ServerCert, files.ServerKey = ca.Issue(t, "upstream", time.Hour).Write(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(files.ServerCert, files.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	webhook := "/api/v1/webhook/" + botA
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
				for _, tt := range []struct{ method, body, header string }{
					{"GET", "", "X: y"},
					{"DELETE", "", "Idempotency-Key: 1"},
					{"POST", "", "Idempotency-Key: 1"},
					{"POST", "{}", "Idempotency-Key: 1"},
					{"POST", "{}", "X-Idempotency-Key: 1"},
				} {
					l, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					if scheme == "https" {
						l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
					}
					upstream := &breakingUpstream{Listener: l}
					t.Cleanup(func() { l.Close() })
					go upstream.serve()
					g := newGate(t, nil, func(o *proxy.Options) {
						change(o)
						o.Upstream, o.Certificates = mustURL(t, scheme+"://"+l.Addr().String()), openCertificates(t, certificate.Files{UpstreamCA: bundle})
					})
					first := g.request(t, tt.method, webhook, tt.body, bearerOf(secretA), jsonType, tt.header)
					second := g.request(t, tt.method, webhook, tt.body, bearerOf(secretA), jsonType, tt.header)
					upstream.mu.Lock()
					read := strings.Join(upstream.read, " ")
					upstream.mu.Unlock()
					if want := first.header.Get("X-Request-Id") + " " + second.header.Get("X-Request-Id"); first.status != 200 || second.status != 502 || read != want {
						t.Errorf("%s %q with %s: status %d and %d, the upstream read %q; want 200 and 502, %q", tt.method, tt.body, tt.header, first.status, second.status, read, want)
					}
				}
			})
		})
	}
}
