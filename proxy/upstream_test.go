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

// TestUpstreamWithoutPort has a runner on the scheme's own port.
func TestUpstreamWithoutPort(t *testing.T) {
	bothTransports(t, func(t *testing.T, change func(*proxy.Options)) {
		g := newGate(t, nil, func(o *proxy.Options) {
			change(o)
			o.Upstream = &url.URL{Scheme: "http", Host: "127.0.0.1"}
		})
		_ = g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType)
		if strings.Contains(g.log.String(), "missing port") {
			t.Errorf("the runner is not looked for at port 80: %s", g.log)
		}
	})
}

// TestEncodingsAreTheCallers sees that the gate neither asks for a compressed answer by itself nor
// undoes one.
func TestEncodingsAreTheCallers(t *testing.T) {
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
		a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", headers...)
		r, _, _ := g.runner.last()
		if got := r.Header.Get("Accept-Encoding"); got != accept {
			t.Errorf("Accept-Encoding at the runner = %q, want %q", got, accept)
		}
		if a.body != packed.String() || a.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("answer with Content-Encoding %q = %q, want the runner's bytes as gzip", a.header.Get("Content-Encoding"), a.body)
		}
	}
}

// TestRunnersCertificate has an https runner whose authority is known, and one whose is not.
func TestRunnersCertificate(t *testing.T) {
	runner := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	runner.Config.ErrorLog = log.New(io.Discard, "", 0)
	runner.StartTLS()
	t.Cleanup(runner.Close)
	bundle := func(certificate []byte) string { return testkit.WriteFile(t, "ca.pem", string(certificate)) }
	known := bundle(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: runner.Certificate().Raw}))
	name := strings.Replace(runner.URL, "127.0.0.1", "localhost", 1) // which is not in the certificate
	for _, tt := range []struct {
		name, url, ca string
		status        int
	}{
		{"known", runner.URL, known, 200},
		{"not among those named", runner.URL, bundle(certificatetest.New(t, "another").PEM), 502},
		{"not among the system's", runner.URL, "", 502},
		{"for another name", name, known, 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, func(o *proxy.Options) {
				o.Upstream, o.Certificates = mustURL(t, tt.url), openCertificates(t, certificate.Files{UpstreamCA: tt.ca})
			})
			if a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", bearerOf(secretA), jsonType); a.status != tt.status {
				t.Errorf("answer = %d %s, want %d", a.status, a.body, tt.status)
			}
		})
	}
}
