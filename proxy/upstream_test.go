package proxy_test

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// TestUpstreamWithoutPort has an upstream on the default port of its scheme.
func TestUpstreamWithoutPort(t *testing.T) {
	t.Parallel()
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, nil, func(o *proxy.Options) {
			change(o)
			o.Upstream = &url.URL{Scheme: "http", Host: "127.0.0.1"}
		})
		_ = g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
		if strings.Contains(g.log.String(), "missing port") {
			t.Errorf("log = %s, want a connection to port 80", g.log)
		}
	})
}

// TestContentEncoding: the gate does not ask for compressed responses itself, and does not decompress any.
func TestContentEncoding(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, `{"text":"hello"}`)
	w.Close()
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(packed.Bytes())
	}, nil)
	for _, accept := range []string{"", "gzip", "identity"} {
		headers := []string{bearerOf(secretA), jsonType}
		if accept != "" {
			headers = append(headers, "Accept-Encoding: "+accept)
		}
		res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", headers...)
		r, _, _ := g.upstream.last()
		if got := r.Header.Get("Accept-Encoding"); got != accept {
			t.Errorf("Accept-Encoding at the upstream = %q, want %q", got, accept)
		}
		if res.body != packed.String() || res.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("response with Content-Encoding %q = %q, want the upstream's bytes and gzip", res.header.Get("Content-Encoding"), res.body)
		}
	}
}

// TestUpstreamCertificate has https upstreams with a certificate of a known CA, and of others.
func TestUpstreamCertificate(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	upstream.Config.ErrorLog = log.New(io.Discard, "", 0)
	upstream.StartTLS()
	t.Cleanup(upstream.Close)
	bundle := func(certificate []byte) string { return testkit.WriteFile(t, "ca.pem", string(certificate)) }
	known := bundle(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw}))
	name := strings.Replace(upstream.URL, "127.0.0.1", "localhost", 1) // this name is not in the certificate
	for _, tt := range []struct {
		name, url, ca string
		status        int
	}{
		{"known", upstream.URL, known, 200},
		{"not among those named", upstream.URL, bundle(certificatetest.New(t, "another").PEM), 502},
		{"not among the system's", upstream.URL, "", 502},
		{"for another name", name, known, 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, func(o *proxy.Options) {
				o.Upstream, o.Certificates = mustURL(t, tt.url), openCertificates(t, certificate.Files{UpstreamCA: tt.ca})
			})
			if res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType); res.status != tt.status {
				t.Errorf("response = %d %s, want %d", res.status, res.body, tt.status)
			}
		})
	}
}
