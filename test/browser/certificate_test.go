package browser

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair writes a certificate that expires after a time, and its key, and returns their files.
func pair(t *testing.T, dir, name string, valid time.Duration) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// TestCertificates shows the page of a gate whose certificate expires soon, is renewed, and is then replaced by an
// invalid file.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	certificate, key := pair(t, dir, "flows.example", 5*24*time.Hour)
	g := start(t, keyFile, "--tls-cert", certificate, "--tls-key", key)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#alerts", "Expires soon: server certificate", "It expires in 4 d")
	b.shows(t, "#settings", "Server certificate", "flows.example, expires in 4 d", "TLS with clients")
	pair(t, dir, "flows.example", 90*24*time.Hour)
	g.replace(t, keyFile)
	b.shows(t, "#settings", "in 89 d")
	if alerts := b.text(t, "#alerts"); strings.Contains(alerts, "certificate") {
		t.Errorf("alerts = %q, want none of a certificate that was renewed", alerts)
	}
	if err := os.WriteFile(certificate, []byte("<b>no certificate</b>"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.replace(t, keyFile)
	b.shows(t, "#alerts", "Invalid files: server certificate", "The last good version stays in use", "tls.crt")
	b.quiet(t)
	b.picture(t, "certificates")
}

// TestExpiredCA has a file of two CAs, of which one has expired: clients with certificates of the other can still
// connect.
func TestExpiredCA(t *testing.T) {
	certificate, key := pair(t, t.TempDir(), "flows.example", 90*24*time.Hour)
	old, _ := pair(t, t.TempDir(), "old.example", -time.Minute)
	current, _ := pair(t, t.TempDir(), "new.example", 90*24*time.Hour)
	bundle := filepath.Join(t.TempDir(), "ca.crt")
	var both []byte
	for _, file := range []string{old, current} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, content...)
	}
	if err := os.WriteFile(bundle, both, 0o600); err != nil {
		t.Fatal(err)
	}
	g := start(t, keyFile, "--tls-cert", certificate, "--tls-key", key, "--client-ca", bundle)
	b := visit(t, g.Admin+"/", wide)
	b.shows(t, "#alerts", "Expired: CAs of client certificates", "The first CA expired ", "certificates that it issued are refused")
	b.quiet(t)
}
