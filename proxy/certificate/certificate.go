// Package certificate keeps the certificates and keys for TLS, and replaces them when their files change.
//
// It knows PEM files and crypto/tls. HTTP, settings and logging are left to its callers, which get the names, serial
// numbers and dates of the certificates: nothing secret.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Name says what a certificate is for. It is a label value in metrics.
type Name string

// What certificates are for.
const (
	Server         Name = "server"          // presented to clients
	ClientCA       Name = "client_ca"       // CAs of client certificates
	UpstreamClient Name = "upstream_client" // presented to the upstream
	UpstreamCA     Name = "upstream_ca"     // CAs of the upstream's certificate
)

// Info describes a certificate, or all CAs in a file.
type Info struct {
	// Names are the DNS names, addresses and URIs of the certificate, or the subjects of the CAs.
	Names []string `json:"names"`
	// Serials are the serial numbers in hexadecimal.
	Serials []string `json:"serials"`
	// NotAfter is when the certificate expires, or the first of the CAs to expire.
	NotAfter time.Time `json:"not_after"`
}

func infoOf(certificates []*x509.Certificate) (i Info) {
	for _, c := range certificates {
		i.Names = append(i.Names, namesOf(c)...)
		i.Serials = append(i.Serials, c.SerialNumber.Text(16))
		if i.NotAfter.IsZero() || c.NotAfter.Before(i.NotAfter) {
			i.NotAfter = c.NotAfter.UTC()
		}
	}
	return i
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

// material is what TLS needs from the files of one name: a pair of certificate and key, or a pool of CAs.
type material struct {
	info Info
	pool *x509.CertPool // of CAs; nil for a pair
	pair tls.Certificate
	leaf *x509.Certificate // of pair; nil for CAs
}

// invalid says why a pair cannot be used at now, or returns "" if it can. CAs can always be used: an old one may stay in
// the file beside its successor.
func (m *material) invalid(now time.Time) string {
	switch {
	case m.leaf == nil:
	case now.After(m.leaf.NotAfter):
		return "it expired at " + m.leaf.NotAfter.UTC().Format(time.RFC3339)
	case now.Before(m.leaf.NotBefore):
		return "it is not valid before " + m.leaf.NotBefore.UTC().Format(time.RFC3339)
	}
	return ""
}
