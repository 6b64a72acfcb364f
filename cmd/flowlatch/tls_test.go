package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/certificate/certificatetest"
)

const year = 365 * 24 * time.Hour

// secureGate is a gate that serves clients over HTTPS.
type secureGate struct {
	*gate
	authority *certificatetest.Authority
	dir       string // of tls.crt and tls.key
	pair      certificatetest.Pair
}

func startSecureGate(t *testing.T, upstream http.Handler, args ...string) *secureGate {
	t.Helper()
	s := &secureGate{authority: certificatetest.New(t, "authority"), dir: t.TempDir()}
	s.pair = s.authority.Issue(t, "gate.example", year)
	cert, key := s.pair.Write(t, s.dir)
	s.gate = startGate(t, upstream, append([]string{"--tls-cert", cert, "--tls-key", key}, args...)...)
	return s
}

// ask asks for a prediction over a connection of its own, and returns its status, version of HTTP, and the serial
// number of the gate's certificate.
func (s *secureGate) ask(t *testing.T, http2 bool, own ...tls.Certificate) (status, version int, serial string, err error) {
	t.Helper()
	config := s.authority.Client(own...)
	tr := &http.Transport{TLSClientConfig: config, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(!http2)
	tr.Protocols.SetHTTP2(http2)
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v1/prediction/"+webChatflow, strings.NewReader(`{"question":"Hello?"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.web)
	res, err := (&http.Client{Transport: tr, Timeout: testkit.Timeout}).Do(req)
	if err != nil {
		return 0, 0, "", err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.ProtoMajor, res.TLS.PeerCertificates[0].SerialNumber.Text(16), err
}

func (s *secureGate) wantServed(t *testing.T, serial string, own ...tls.Certificate) {
	t.Helper()
	for _, http2 := range []bool{true, false} {
		status, version, got, err := s.ask(t, http2, own...)
		if status != http.StatusOK || (version == 2) != http2 || got != serial || err != nil {
			t.Errorf("prediction (HTTP/2: %t) = %d by HTTP/%d with certificate %s, %v, want 200 with %s", http2, status, version, got, err, serial)
		}
	}
}

func (g *gate) status(t *testing.T) (s admin.Status) {
	t.Helper()
	if err := json.Unmarshal([]byte(send(t, http.MethodGet, g.Admin+"/status", "", "").body), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTLS renews the certificate of a gate in every possible way, with an invalid one in between.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := startSecureGate(t, newEcho())
	s.wantServed(t, s.pair.Serial)
	if res := send(t, http.MethodGet, strings.Replace(s.URL, "https", "http", 1)+"/", "", ""); res.status != http.StatusBadRequest {
		t.Errorf("a request without TLS = %d, want 400", res.status)
	}
	if code, stdout, _ := finish(t, "healthcheck", "--admin", strings.TrimPrefix(s.Admin, "http://")); code != exitOK || stdout != "ok\n" {
		t.Errorf("healthcheck = %d, %q, want 0 and ok", code, stdout)
	}
	if n := s.metric(t, `flowlatch_certificate_stale{certificate="server"}`); n != 0 {
		t.Errorf("stale = %d, want 0", n)
	}

	// Found by the watch.
	second := s.authority.Issue(t, "second.example", 2*year)
	second.Write(t, s.dir)
	line := s.AwaitLog(t, "certificate applied") // the first line is from the start
	testkit.Eventually(t, "the renewal in the log", func() bool {
		all := s.Logged(t, "certificate applied")
		line = all[len(all)-1]
		return len(all) == 2
	})
	if fmt.Sprintf("%v%v%v%v%v", line["certificate"], line["names"], line["old_names"], line["serials"], line["old_serials"]) !=
		fmt.Sprintf("server[second.example 127.0.0.1 ::1][gate.example 127.0.0.1 ::1][%s][%s]", second.Serial, s.pair.Serial) || line["not_after"] == line["old_not_after"] {
		t.Errorf("log line of the renewal = %v, want both certificates", line)
	}
	s.wantServed(t, second.Serial)

	// An invalid certificate is reported everywhere except by readiness.
	certificatetest.Write(t, filepath.Join(s.dir, "tls.crt"), s.pair.Cert)
	fault := s.AwaitLog(t, "certificate files are invalid; the last good certificate stays active")
	if e, _ := fault["error"].(string); fault["level"] != "error" || !strings.Contains(e, filepath.Join(s.dir, "tls.key")) {
		t.Errorf("log line of the fault = %v, want an error that names the file", fault)
	}
	s.wantServed(t, second.Serial)
	if n := s.metric(t, `flowlatch_certificate_stale{certificate="server"}`); n != 1 {
		t.Errorf("stale = %d, want 1", n)
	}
	if st := s.status(t).Certificates; len(st) != 1 || !st[0].Stale || st[0].Fault == "" || st[0].Serials[0] != second.Serial {
		t.Errorf("status = %+v, want the fault and the certificate that is used", st)
	}
	if res := send(t, http.MethodGet, s.Admin+"/readyz", "", ""); res.status != http.StatusOK {
		t.Errorf("GET /readyz = %d, want 200", res.status)
	}
	if res := send(t, http.MethodPost, s.Admin+"/-/reload", "", ""); res.status != http.StatusUnprocessableEntity || !strings.Contains(res.body, "tls.key") {
		t.Errorf("POST /-/reload = %d %s, want 422 and why", res.status, res.body)
	}
	rows := runDoctor(t, exitOK, "--url", s.URL, "--admin", strings.TrimPrefix(s.Admin, "http://"))
	wantRow(t, rows, "gate", "ok flowlatch answers at "+s.URL)
	wantRow(t, rows, "spellings", "ok none of ")
	wantRow(t, rows, "certificate server", "look its files are invalid")

	// A repaired one is applied by a reload, the next by SIGHUP.
	second.Write(t, s.dir)
	if res := send(t, http.MethodPost, s.Admin+"/-/reload", "", ""); res.status != http.StatusOK {
		t.Errorf("POST /-/reload = %d %s, want 200", res.status, res.body)
	}
	third := s.authority.Issue(t, "third.example", year)
	third.Write(t, s.dir)
	s.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, "the third certificate", func() bool { return s.status(t).Certificates[0].Serials[0] == third.Serial })
	s.wantServed(t, third.Serial)
	if text := s.Stderr.String(); strings.Contains(text, "PRIVATE") {
		t.Errorf("log = %s, want no part of a key", text)
	}
	s.WantExit(t, syscall.SIGTERM)
}

// TestTLSRenewedUnderLoad renews the certificate again and again while clients open connections: none may fail.
func TestTLSRenewedUnderLoad(t *testing.T) {
	t.Parallel()
	s := startSecureGate(t, newEcho())
	var stop atomic.Bool
	var served atomic.Int64
	serials := sync.Map{}
	var clients sync.WaitGroup
	for _, http2 := range []bool{true, false} {
		clients.Go(func() {
			for !stop.Load() {
				status, _, serial, err := s.ask(t, http2)
				if status != http.StatusOK || err != nil {
					t.Errorf("prediction = %d, %v, want 200", status, err)
					return
				}
				served.Add(1)
				serials.Store(serial, true)
			}
		})
	}
	last := s.pair.Serial
	for range 10 {
		before := served.Load()
		next := s.authority.Issue(t, "gate.example", year)
		next.Write(t, s.dir)
		testkit.Eventually(t, "the next certificate", func() bool {
			st := s.status(t).Certificates[0]
			return st.Serials[0] == next.Serial && served.Load() > before+4 || t.Failed()
		})
		last = next.Serial
	}
	stop.Store(true)
	clients.Wait()
	s.wantServed(t, last)
	n := 0
	serials.Range(func(any, any) bool { n++; return true })
	if n < 5 {
		t.Errorf("clients saw %d certificates, want at least 5", n)
	}
	if lines := s.Logged(t, "certificate files are invalid; the last good certificate stays active"); len(lines) > 0 {
		t.Errorf("log = %v, want no fault while one of the two files is old", lines)
	}
}

// TestClientCA checks that only clients with a certificate are accepted, the doctor included, until their CA is
// removed.
func TestClientCA(t *testing.T) {
	t.Parallel()
	partner := certificatetest.New(t, "partner")
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	certificatetest.Write(t, bundle, partner.PEM)
	s := startSecureGate(t, newEcho(), "--client-ca", bundle)
	client := partner.Issue(t, "client", year)
	s.wantServed(t, s.pair.Serial, client.Certificate(t))
	for name, own := range map[string][]tls.Certificate{"none": nil, "from another CA": {s.authority.Issue(t, "x", year).Certificate(t)}, "expired": {partner.Issue(t, "x", -time.Hour).Certificate(t)}} {
		for _, http2 := range []bool{true, false} {
			if status, _, _, err := s.ask(t, http2, own...); err == nil {
				t.Errorf("prediction with %s = %d, want a failed TLS handshake", name, status)
			}
		}
	}

	args := []string{"--url", s.URL, "--admin", strings.TrimPrefix(s.Admin, "http://")}
	code, _, stderr := flowlatch(t, append([]string{"doctor"}, args...)...)
	if code != exitFailed || !strings.Contains(stderr, "--client-cert") {
		t.Errorf("doctor without a certificate = %d, %q, want 1 and what to do", code, stderr)
	}
	cert, key := client.Write(t, t.TempDir())
	rows := runDoctor(t, exitOK, append(args, "--client-cert", cert, "--client-key", key)...)
	wantRow(t, rows, "spellings", "ok none of ")
	wantRow(t, rows, "certificate client_ca", "ok for CN=partner")

	certificatetest.Write(t, bundle, s.authority.PEM)
	s.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, "the other CA", func() bool { return s.status(t).Certificates[1].Names[0] == "CN=authority" })
	if status, _, _, err := s.ask(t, true, client.Certificate(t)); err == nil {
		t.Errorf("prediction after the CA was removed = %d, want a failed TLS handshake", status)
	}
	s.wantServed(t, s.pair.Serial, s.authority.Issue(t, "own", year).Certificate(t))
}
