package config

import "github.com/flowlatch/flowlatch/proxy/certificate"

// checkTLS returns an error for each TLS setting that contradicts another. It compares certificates with their keys
// only if all settings are valid by themselves.
func (c *Config) checkTLS(inOrder bool, conflict func(name, format string, args ...any)) {
	f := c.Certificates
	pair := func(cert, key, certPath, keyPath string) {
		switch {
		case certPath == "" && keyPath != "":
			conflict(key, "a private key without a certificate; set --%s too, or leave out both", cert)
		case certPath != "" && keyPath == "":
			conflict(cert, "a certificate without its private key; set --%s too, or leave out both", key)
		case certPath != "" && inOrder:
			if err := certificate.CheckPair(certPath, keyPath); err != nil {
				conflict(key, "%v", err)
			}
		}
	}
	pair("tls-cert", "tls-key", f.ServerCert, f.ServerKey)
	pair("upstream-cert", "upstream-key", f.UpstreamCert, f.UpstreamKey)
	if f.ClientCA != "" && f.ServerCert == "" {
		conflict("client-ca", "client certificates are possible over HTTPS only; set --tls-cert and --tls-key too")
	}
	upstream := c.Proxy.Upstream
	if upstream == nil || upstream.Scheme == "https" {
		return
	}
	for _, s := range [][2]string{{"upstream-ca", f.UpstreamCA}, {"upstream-cert", f.UpstreamCert}} {
		if name, path := s[0], s[1]; path != "" {
			conflict(name, "the upstream %s does not use TLS; give --upstream as an https URL, or leave this out", upstream.Redacted())
		}
	}
}
