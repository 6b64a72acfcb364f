// Package certificate keeps the certificates and keys that TLS is spoken with, and replaces them when
// their files change.
//
// It knows PEM files and crypto/tls; it leaves HTTP, settings and log lines to its callers, and tells
// them what came into force by names, serial numbers and dates. Nothing that it says is secret.
package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Name says what a certificate is for. It is a value of the metric's label.
type Name string

// What certificates are for.
const (
	Server         Name = "server"          // shown to callers
	ClientCA       Name = "client_ca"       // callers' certificates are checked against
	UpstreamClient Name = "upstream_client" // shown to the runner
	UpstreamCA     Name = "upstream_ca"     // the runner's certificate is checked against
)

// Info is what is said of a certificate, or of all those of a bundle.
type Info struct {
	// Names are the names and addresses that it is for; of an authority, its subject.
	Names []string
	// Serials are the serial numbers, in hexadecimal.
	Serials []string
	// NotAfter is when it ends; of a bundle, when the first does.
	NotAfter time.Time
}

// material is the content of the files of one name, understood.
type material struct {
	pair *tls.Certificate // nil for a bundle
	pool *x509.CertPool   // nil for a pair
	all  []*x509.Certificate
}

// info describes the certificate of a pair, or those of a bundle.
func (m *material) info() (i Info) {
	list := m.all
	if m.pair != nil {
		list = list[:1] // the others are on the way to an authority, which callers may not even need
	}
	for _, c := range list {
		i.Names = append(i.Names, namesOf(c)...)
		i.Serials = append(i.Serials, c.SerialNumber.Text(16))
		if i.NotAfter.IsZero() || c.NotAfter.Before(i.NotAfter) {
			i.NotAfter = c.NotAfter.UTC()
		}
	}
	return i
}

// lapsed says why a pair is of no use at a time, or nothing.
func (m *material) lapsed(now time.Time) string {
	if m.pair == nil {
		return "" // a bundle may keep an old authority beside a new one
	}
	switch c := m.all[0]; {
	case now.After(c.NotAfter):
		return "it ended at " + c.NotAfter.UTC().Format(time.RFC3339)
	case now.Before(c.NotBefore):
		return "it begins at " + c.NotBefore.UTC().Format(time.RFC3339)
	}
	return ""
}

func namesOf(c *x509.Certificate) []string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	if len(names) == 0 {
		names = append(names, c.Subject.String())
	}
	return names
}

// CheckCertificate says what is wrong with a file of certificates, or nil.
func CheckCertificate(path string) error {
	content, err := os.ReadFile(path)
	if err == nil {
		_, err = parseCertificates(path, content)
	}
	return err
}

// Authorities returns the certificates of a file, to check others against.
func Authorities(path string) (*x509.CertPool, error) {
	paths := []string{path}
	contents, err := read(paths)
	if err != nil {
		return nil, err
	}
	m, err := parseBundle(paths, contents)
	if err != nil {
		return nil, err
	}
	return m.pool, nil
}

// CheckKey says what is wrong with the file of a private key, or nil.
func CheckKey(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return checkKey(path, content)
}

// CheckPair says what is wrong with a certificate and its key, or nil.
func CheckPair(certPath, keyPath string) error {
	paths := []string{certPath, keyPath}
	contents, err := read(paths)
	if err == nil {
		_, err = parsePair(paths, contents)
	}
	return err
}

// parsePair takes a certificate, with those on the way to its authority after it, and its key.
func parsePair(paths []string, contents [][]byte) (*material, error) {
	certPath, keyPath, certPEM, keyPEM := paths[0], paths[1], contents[0], contents[1]
	all, err := parseCertificates(certPath, certPEM)
	if err != nil {
		return nil, err
	}
	if err := checkKey(keyPath, keyPEM); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	switch {
	case err != nil && strings.Contains(err.Error(), "does not match"):
		return nil, fmt.Errorf("%s: this key is not that of the first certificate in %s; put the two of one pair there", keyPath, certPath)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", keyPath, err)
	}
	return &material{pair: &pair, all: all}, nil
}

// parseBundle takes certificates to check others against.
func parseBundle(paths []string, contents [][]byte) (*material, error) {
	all, err := parseCertificates(paths[0], contents[0])
	if err != nil {
		return nil, err
	}
	m := &material{pool: x509.NewCertPool(), all: all}
	for _, c := range m.all {
		m.pool.AddCert(c)
	}
	return m, nil
}

func read(paths []string) (contents [][]byte, err error) {
	var errs []error
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			errs = append(errs, err)
		}
		contents = append(contents, content)
	}
	return contents, errors.Join(errs...)
}

// parseCertificates returns all certificates of a file. One that cannot be read is an error, not left out
// as x509.CertPool does: the bundle would trust others than it says.
func parseCertificates(path string, content []byte) (list []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		block, content = pem.Decode(content)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue // a key in the same file, or parameters
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d in it is malformed: %w", path, len(list)+1, err)
		}
		list = append(list, c)
	}
	switch {
	case bytes.Contains(content, []byte("-----BEGIN")):
		return nil, fmt.Errorf("%s: it breaks off in a block of PEM; write it whole", path)
	case len(list) == 0:
		return nil, fmt.Errorf("%s: no certificate in PEM form in it", path)
	}
	return list, nil
}

// checkKey looks for the private key that crypto/tls will take. Errors hold nothing of the content.
func checkKey(path string, content []byte) error {
	for {
		var block *pem.Block
		block, content = pem.Decode(content)
		switch {
		case block == nil && bytes.Contains(content, []byte("-----BEGIN")):
			return fmt.Errorf("%s: it breaks off in a block of PEM; write it whole", path)
		case block == nil:
			return fmt.Errorf("%s: no private key in PEM form in it", path)
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return fmt.Errorf("%s: the private key is encrypted, and there is nobody to ask for its passphrase; decrypt it, as by `openssl pkey -in KEY -out PLAIN`", path)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		}
	}
}
