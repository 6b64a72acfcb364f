package certificate_test

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// TestTLS12Suites offers each cipher suite of TLS 1.2 by itself, as scanners do, both to the gate and as its upstream.
// Only those that encrypt and authenticate in one step are accepted.
func TestTLS12Suites(t *testing.T) {
	t.Parallel()
	ca := certificatetest.New(t, "CA")
	var files certificate.Files
	files.ServerCert, files.ServerKey = ca.Issue(t, "gate", time.Hour).Write(t, t.TempDir())
	files.UpstreamCA = t.TempDir() + "/ca.pem"
	certificatetest.Write(t, files.UpstreamCA, ca.PEM)
	store := open(t, files, nil)
	pair, err := tls.LoadX509KeyPair(files.ServerCert, files.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) || !strings.Contains(suite.Name, "ECDHE_ECDSA") { // like the certificate
			continue
		}
		want := strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "_POLY1305_")
		only := func(c *tls.Config) *tls.Config {
			c.MinVersion, c.MaxVersion, c.CipherSuites = tls.VersionTLS12, tls.VersionTLS12, []uint16{suite.ID}
			return c
		}
		toUpstream := store.Upstream().Clone()
		toUpstream.ServerName = "127.0.0.1"
		for side, configs := range map[string][2]*tls.Config{
			"of clients":      {only(&tls.Config{RootCAs: ca.Client().RootCAs, ServerName: "127.0.0.1"}), store.Server()},
			"to the upstream": {toUpstream, only(&tls.Config{Certificates: []tls.Certificate{pair}})},
		} {
			err := shake(t, configs[0], configs[1])
			if (err == nil) != want {
				t.Errorf("handshake %s with %s: %v, want success: %t", side, suite.Name, err, want)
			}
			if err == nil {
				accepted++
			}
		}
	}
	if accepted != 6 {
		t.Errorf("handshakes that succeed = %d, want 3 on each side", accepted)
	}
}

// shake performs a handshake between two configurations.
func shake(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		_ = tls.Server(far, server).HandshakeContext(t.Context()) // the client's error says enough
	}()
	return tls.Client(near, client).HandshakeContext(t.Context())
}

// TestProtocols has clients that offer a single protocol by ALPN (RFC 7301). `curl --http1.0` offers only http/1.0, and a
// server of net/http would fail the handshake.
func TestProtocols(t *testing.T) {
	t.Parallel()
	var files certificate.Files
	files.ServerCert, files.ServerKey = certificatetest.New(t, "CA").Issue(t, "gate", time.Hour).Write(t, t.TempDir())
	store := open(t, files, nil)
	for protocol, want := range map[string]bool{"h2": true, "http/1.1": true, "http/1.0": true, "spdy/3": false} {
		if err := shake(t, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}, store.Server()); (err == nil) != want {
			t.Errorf("handshake with %s: %v, want success: %t", protocol, err, want)
		}
	}
}
