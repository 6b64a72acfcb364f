package admin

import (
	"cmp"
	"net/netip"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
)

// SettingsStatus has the settings that decide what the gate trusts and refuses, as they are written.
type SettingsStatus struct {
	Keys                  string         `json:"keys"`
	Expose                []string       `json:"expose"`
	Discovery             string         `json:"discovery"`
	UpstreamAuthorization string         `json:"upstream_authorization"`
	PublicURL             string         `json:"public_url,omitempty"`
	PathPrefix            string         `json:"path_prefix,omitempty"`
	CORSOrigins           []string       `json:"cors_origins"`
	TrustedProxies        []netip.Prefix `json:"trusted_proxies"`
	FailureLimit          string         `json:"failure_limit"`
	MaxBody               int64          `json:"max_body"`
	MaxCheckedBody        int64          `json:"max_checked_body"`
	CutStreamsOnRevoke    bool           `json:"cut_streams_on_revoke"`
}

// settingsStatus returns the settings of a gate as they are written.
func settingsStatus(o proxy.Options) SettingsStatus {
	s := SettingsStatus{
		Expose: o.Expose, Discovery: "open", UpstreamAuthorization: cmp.Or(o.UpstreamAuthorization.String(), "remove"), PublicURL: o.PublicURL.Redacted(),
		PathPrefix:  o.PathPrefix,
		CORSOrigins: append([]string{}, o.CORSOrigins...), TrustedProxies: append([]netip.Prefix{}, o.TrustedProxies...), FailureLimit: "off",
		MaxBody: o.MaxBody, MaxCheckedBody: o.MaxCheckedBody, CutStreamsOnRevoke: o.CutRevoked,
	}
	if o.DiscoveryKeyed {
		s.Discovery = "keyed"
	}
	if o.FailureLimit.Burst > 0 {
		s.FailureLimit = keystore.Rate{N: int64(o.FailureLimit.Burst), Per: o.FailureLimit.Per}.String() // which is written in the same way
	}
	return s
}
