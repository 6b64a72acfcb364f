// Package certificatetest makes CAs and certificates for tests. Only tests import it.
package certificatetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a CA.
type Authority struct {
	// PEM is the CA's own certificate.
	PEM  []byte
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New returns a CA.
func New(t testing.TB, name string) *Authority {
	t.Helper()
	return (*Authority)(nil).sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
}

// sign returns a certificate with a new key, signed by a, or by itself if a is nil.
func (a *Authority) sign(t testing.TB, template *x509.Certificate) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	check(t, err)
	template.NotBefore = time.Now().Add(-1000 * time.Hour)
	if a == nil {
		a = &Authority{leaf: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.leaf, key.Public(), a.key)
	check(t, err)
	leaf, err := x509.ParseCertificate(der)
	check(t, err)
	return &Authority{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), leaf, key}
}

// Pair is a certificate and its key in PEM format.
type Pair struct {
	Cert, Key []byte
	Serial    string
}

// Issue returns a certificate for servers and clients with the given name, 127.0.0.1 and ::1, which expires after valid.
// If valid is negative, it has already expired.
func (a *Authority) Issue(t testing.TB, name string, valid time.Duration) Pair {
	t.Helper()
	c := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotAfter: time.Now().Add(valid), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	check(t, err)
	return Pair{c.PEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), c.leaf.SerialNumber.Text(16)}
}

// Write writes the pair to tls.crt and tls.key in a directory, replacing what is there.
func (p Pair) Write(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	Write(t, cert, p.Cert)
	Write(t, key, p.Key)
	return cert, key
}

// Write replaces a file by renaming another one over it.
func Write(t testing.TB, path string, content []byte) {
	t.Helper()
	check(t, os.WriteFile(path+".next", content, 0o600))
	check(t, os.Rename(path+".next", path))
}

// Certificate returns the pair in the form that crypto/tls uses.
func (p Pair) Certificate(t testing.TB) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	check(t, err)
	return c
}

// Client returns the configuration of a client that trusts the CA and presents its own certificates.
func (a *Authority) Client(own ...tls.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.leaf)
	return &tls.Config{RootCAs: pool, Certificates: own, MinVersion: tls.VersionTLS12}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
