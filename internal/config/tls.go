package config

import (
	"fmt"

	"github.com/flowlatch/flowlatch/proxy/certificate"
)

// checkTLS says which of the settings of TLS do not belong together. Pairs are compared only if the files are in order
// by themselves.
func (c *Config) checkTLS(inOrder bool) (errs []error) {
	f := c.Certificates
	fault := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", c.place(name), fmt.Sprintf(format, args...)))
	}
	pair := func(cert, key, certPath, keyPath string) {
		switch {
		case certPath == "" && keyPath != "":
			fault(key, "a private key without a certificate; set --%s too, or leave out both", cert)
		case certPath != "" && keyPath == "":
			fault(cert, "a certificate without its private key; set --%s too, or leave out both", key)
		case certPath != "" && inOrder:
			if err := certificate.CheckPair(certPath, keyPath); err != nil {
				fault(key, "%v", err)
			}
		}
	}
	pair("tls-cert", "tls-key", f.ServerCert, f.ServerKey)
	pair("upstream-cert", "upstream-key", f.UpstreamCert, f.UpstreamKey)
	if f.ClientCA != "" && f.ServerCert == "" {
		fault("client-ca", "client certificates are possible over HTTPS only; set --tls-cert and --tls-key too")
	}
	upstream := c.Proxy.Upstream
	if upstream == nil || upstream.Scheme == "https" {
		return errs
	}
	for _, s := range [][2]string{{"upstream-ca", f.UpstreamCA}, {"upstream-cert", f.UpstreamCert}} {
		if name, path := s[0], s[1]; path != "" {
			fault(name, "the upstream %s does not use TLS; give --upstream as an https URL, or leave this out", upstream.Redacted())
		}
	}
	return errs
}
