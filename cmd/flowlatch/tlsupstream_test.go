package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

// TestUpstreamCertificate has an upstream that requires a client certificate, with TLS 1.2 and 1.3, and renews it.
func TestUpstreamCertificate(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			authority := certificatetest.New(t, "authority")
			var shown atomic.Value
			upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				shown.Store(r.TLS.PeerCertificates[0].SerialNumber.Text(16))
			}))
			upstream.TLS = authority.Client(authority.Issue(t, "upstream", year).Certificate(t))
			upstream.TLS.ClientCAs, upstream.TLS.ClientAuth, upstream.TLS.MaxVersion = upstream.TLS.RootCAs, tls.RequireAndVerifyClientCert, version
			upstream.Config.ErrorLog = log.New(io.Discard, "", 0)
			upstream.StartTLS()
			t.Cleanup(upstream.Close)
			dir := t.TempDir()
			first := authority.Issue(t, "gate", year)
			cert, key := first.Write(t, dir)
			bundle := filepath.Join(dir, "ca.pem")
			certificatetest.Write(t, bundle, authority.PEM)

			g := startGateWith(t, testkit.Options{Upstream: upstream.URL, Args: []string{"--upstream-ca", bundle, "--upstream-cert", cert, "--upstream-key", key}})
			if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK || shown.Load() != first.Serial {
				t.Errorf("prediction = %d %s, the upstream saw %v, want 200 and %s", res.status, res.body, shown.Load(), first.Serial)
			}
			second := authority.Issue(t, "gate", year)
			second.Write(t, dir)
			testkit.Eventually(t, "the renewal", func() bool {
				for _, c := range g.status(t).Certificates {
					if c.Certificate == "upstream_client" {
						return c.Serials[0] == second.Serial
					}
				}
				return false
			})
			if res := g.predict(t, webChatflow, g.web); res.status != http.StatusOK || shown.Load() != second.Serial {
				t.Errorf("prediction after the renewal = %d %s, the upstream saw %v, want 200 and %s", res.status, res.body, shown.Load(), second.Serial)
			}

			bare := startGateWith(t, testkit.Options{Upstream: upstream.URL, Args: []string{"--upstream-ca", bundle}})
			if res := bare.predict(t, webChatflow, bare.web); res.status != http.StatusBadGateway || res.code() != "upstream_unreachable" {
				t.Errorf("prediction without a certificate = %d %s, want 502", res.status, res.body)
			}
			// With TLS 1.3 the upstream's alert arrives after the request is sent, and may be lost with the connection.
			reason := fmt.Sprint(bare.AwaitLog(t, "request")["reason"])
			if !strings.HasPrefix(reason, "the TLS handshake with the upstream failed: ") && (version == tls.VersionTLS12 || !strings.HasPrefix(reason, "the upstream broke off before its response")) {
				t.Errorf("reason in the log = %q, want that the TLS handshake failed", reason)
			}
		})
	}
}

// TestTLSSettings checks settings that contradict each other.
func TestTLSSettings(t *testing.T) {
	keys := testkit.WriteFile(t, "keys.yaml", publicKeyFile)
	authority := certificatetest.New(t, "authority")
	cert, key := authority.Issue(t, "a.example", year).Write(t, t.TempDir())
	_, other := authority.Issue(t, "b.example", year).Write(t, t.TempDir())
	for _, row := range []struct {
		place, why string
		args       []string
	}{
		{"--tls-cert", "set --tls-key too", []string{"--tls-cert", cert}},
		{"--tls-key", "set --tls-cert too", []string{"--tls-key", key}},
		{"--tls-key", "not that of the first certificate in " + cert, []string{"--tls-cert", cert, "--tls-key", other}},
		{"--client-ca", "set --tls-cert and --tls-key too", []string{"--client-ca", cert}},
		{"--upstream-cert", "set --upstream-key too", []string{"--upstream", "https://r", "--upstream-cert", cert}},
		{"--upstream-key", "set --upstream-cert too", []string{"--upstream", "https://r", "--upstream-key", key}},
		{"--upstream-key", "not that of the first", []string{"--upstream", "https://r", "--upstream-cert", cert, "--upstream-key", other}},
		{"--upstream-cert", "the upstream http://r does not use TLS", []string{"--upstream", "http://r", "--upstream-cert", cert, "--upstream-key", key}},
		{"--upstream-ca", "the upstream http://r does not use TLS", []string{"--upstream", "http://r", "--upstream-ca", cert}},
	} {
		wantFault(t, row.place, row.why, append(row.args, "--keys", keys)...)
	}
	t.Setenv("FLOWLATCH_TLS_CERT", cert)
	wantFault(t, "environment variable FLOWLATCH_TLS_CERT", "set --tls-key too", "--keys", keys)
	t.Setenv("FLOWLATCH_TLS_CERT", "")

	ended, endedKey := authority.Issue(t, "c.example", -time.Hour).Write(t, t.TempDir())
	code, _, stderr := flowlatch(t, "check", "--keys", keys, "--tls-cert", ended, "--tls-key", endedKey)
	if code != exitOK || !strings.Contains(stderr, `warning: the certificate "server", for c.example`) {
		t.Errorf("check of an expired certificate = %d, %q, want 0 and a warning", code, stderr)
	}
}
