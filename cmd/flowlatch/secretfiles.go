package main

import (
	"strings"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/proxy"
)

// secretsReadByEveryone returns a warning for each setting whose file holds a secret and can be read by every user of
// the machine. The key files, and the files that they name, are checked where they are read.
func secretsReadByEveryone(c *config.Config) (warnings []string) {
	files := map[string]string{
		"admin-token": c.AdminToken, "browser-secrets": c.BrowserSecrets, "upstream-api": c.UpstreamAPI, "upstream-authorization": c.Proxy.UpstreamAuthorization.Path,
		"tls-key": c.Certificates.ServerKey, "upstream-key": c.Certificates.UpstreamKey,
	}
	settings := ""
	for _, s := range c.Sources {
		path := files[s.Name]
		switch {
		case s.Name == "config":
			settings = s.Value
		case s.Name == "limits-redis" && c.LimitsRedis.HasPassword() && strings.HasPrefix(s.Place, settings+":"):
			path = settings
		}
		if path == "" {
			continue
		}
		if warning := proxy.ReadByEveryone(path); warning != "" {
			warnings = append(warnings, s.Place+": "+warning)
		}
	}
	return warnings
}
