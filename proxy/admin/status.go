package admin

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// Status is the state of the gate, as `GET /status` shows it.
type Status struct {
	Version   string    `json:"version"`
	Preset    string    `json:"preset"`
	StartedAt time.Time `json:"started_at"`
	Now       time.Time `json:"now"`
	Draining  bool      `json:"draining"`
	// LimitsDegraded says that limits hold by --limits-fallback, because Redis does not answer.
	LimitsDegraded bool           `json:"limits_degraded"`
	OpenRequests   int64          `json:"open_requests"`
	Upstream       UpstreamStatus `json:"upstream"`
	Generation     uint64         `json:"generation"`
	KeysHash       string         `json:"keys_hash"` // see keystore.Snapshot.Hash
	Stale          bool           `json:"stale"`
	Fault          string         `json:"fault,omitempty"`
	KeyFiles       []FileStatus   `json:"key_files,omitempty"` // of a directory
	LastReload     ReloadStatus   `json:"last_reload"`
	RecentReloads  []ReloadStatus `json:"recent_reloads"`
	Warnings       []string       `json:"warnings"`
	Settings       SettingsStatus `json:"settings"`
	// Console says that whoever has the admin token can change keys below /console/.
	Console bool `json:"console"`
	// Totals are of all requests, Unlisted of those for no chatflow that the key file lists.
	Totals         CountStatus      `json:"totals"`
	Unlisted       CountStatus      `json:"unlisted"`
	Recent         RecentStatus     `json:"recent"`
	History        []MinuteStatus   `json:"history"` // of an hour
	KeyCounts      KeyCounts        `json:"key_counts"`
	ChatflowCounts ChatflowCounts   `json:"chatflow_counts"`
	Keys           []KeyStatus      `json:"keys"`
	Chatflows      []ChatflowStatus `json:"chatflows"`
	// Refusals are the last that the filter lets through, the newest first.
	Refusals []RefusalStatus `json:"refusals"`
	// RefusedKeys are the known keys that were refused in the last hour, the last one first.
	RefusedKeys []RefusedKeyStatus `json:"refused_keys"`
	// UpstreamRefusals are chatflows whose allowed requests the upstream refuses, the last one first.
	UpstreamRefusals []UpstreamRefusalStatus `json:"upstream_refusals"`
	// PublicChatflows are the first of the chatflows that need no key, as logs name them.
	PublicChatflows []string `json:"public_chatflows"`
	// Expiring are the first of the valid keys that end within 14 days.
	Expiring []ExpiringStatus `json:"expiring"`

	Certificates []CertificateStatus `json:"certificates,omitempty"`
}

// UpstreamStatus is what is known of the upstream.
type UpstreamStatus struct {
	URL   string     `json:"url"`
	Up    *bool      `json:"up"` // null until it was tried
	Since *time.Time `json:"since,omitempty"`
	Error string     `json:"error,omitempty"`
}

// FileStatus is one key file of a directory; "." is the directory itself.
type FileStatus struct {
	File string `json:"file"`
	// Stale says that the file is invalid and an older version of it stays active, and Fault why.
	Stale bool   `json:"stale"`
	Fault string `json:"fault,omitempty"`
	// Keys and Chatflows are how many of the active ones it lists.
	Keys      int `json:"keys"`
	Chatflows int `json:"chatflows"`
}

// ReloadStatus is one reload of the key file.
type ReloadStatus struct {
	keystore.Reload
	Error string `json:"error,omitempty"`
}

// CertificateStatus is a server or client certificate, or the CAs of a file.
type CertificateStatus struct {
	Certificate certificate.Name `json:"certificate"`
	certificate.Info
	// Stale says that the files are invalid and an older certificate stays active, and Fault why.
	Stale bool   `json:"stale"`
	Fault string `json:"fault,omitempty"`
}

// reloadResponse is the response to `POST /-/reload`.
type reloadResponse struct {
	ReloadStatus
	Certificates []certificateReload `json:"certificates,omitempty"`
	// BrowserSecrets are those of browser tokens, if a file has them.
	BrowserSecrets *secretsReload `json:"browser_secrets,omitempty"`
}

// certificateReload is one reload of a certificate.
type certificateReload struct {
	Certificate certificate.Name `json:"certificate"`
	Result      keystore.Result  `json:"result"`
	Error       string           `json:"error,omitempty"`
	certificate.Info
}

// SettingsStatus are the settings by which the gate trusts and refuses, as they are written.
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

// CountStatus is what became of requests since the start.
type CountStatus struct {
	Requests uint64 `json:"requests"`
	// Failed are those that got a status from 500, from the upstream or from the gate.
	Failed uint64 `json:"failed"`
	// Refused are those that the gate refused or could not serve, by code.
	Refused     map[problem.Code]uint64 `json:"refused,omitempty"`
	Streams     int64                   `json:"streams"` // open now
	LastCall    *time.Time              `json:"last_call,omitempty"`
	LastRefused *time.Time              `json:"last_refused,omitempty"`
}

// KeyCounts counts all keys, and those of each status.
type KeyCounts struct {
	Total       int `json:"total"`
	Valid       int `json:"valid"`
	Disabled    int `json:"disabled"`
	NotYetValid int `json:"not_yet_valid"`
	Expired     int `json:"expired"`
	Honey       int `json:"honey"`
	// Expiring are the valid keys that end within 14 days.
	Expiring int `json:"expiring"`
	// Matching are those that the filter lets through, of which Keys has the first.
	Matching int `json:"matching"`
}

// ChatflowCounts counts all chatflows.
type ChatflowCounts struct {
	Total  int `json:"total"`
	Public int `json:"public"`
	// Every says that there is an entry "*", and EveryOpenTo how many of its keys are valid now.
	Every       bool `json:"every"`
	EveryOpenTo int  `json:"every_open_to"`
	Matching    int  `json:"matching"`
}

// ExpiringStatus is a key that expires soon.
type ExpiringStatus struct {
	ID       string    `json:"id"`
	NotAfter time.Time `json:"not_after"`
}

// KeyStatus is one key, without its secrets and their digests.
type KeyStatus struct {
	ID        string     `json:"id"`
	Owner     string     `json:"owner,omitempty"`
	Status    string     `json:"status"` // as "valid", "disabled", "expired", "not_yet_valid" or "honey"
	Secrets   int        `json:"secrets"`
	NotBefore *time.Time `json:"not_before,omitempty"`
	NotAfter  *time.Time `json:"not_after,omitempty"`
	LastUsed  *time.Time `json:"last_used,omitempty"` // when it last opened something, or such a request ended
	// Generation is that of the key file in which the key was added or last changed.
	Generation uint64 `json:"generation"`
	// OpenRequests are those that the key opened and that have not ended.
	OpenRequests int64 `json:"open_requests"`
	// The counts are of all requests that presented the key, also those that were refused because it is disabled or has
	// expired.
	CountStatus
	// Limits are what it has used of its quotas and of its requests at once. They are left out of a status of many keys.
	Limits []LimitStatus `json:"limits,omitempty"`
	// Browser says in one line what browser tokens of the key may do; empty if there are none.
	Browser string `json:"browser,omitempty"`
	// SecretUse is when each secret was last used, if the key has more than one.
	SecretUse []SecretStatus `json:"secret_use,omitempty"`
}

// SecretStatus is one secret of a key.
type SecretStatus struct {
	Fingerprint string     `json:"fingerprint"`
	NotBefore   *time.Time `json:"not_before,omitempty"`
	NotAfter    *time.Time `json:"not_after,omitempty"`
	LastUsed    *time.Time `json:"last_used,omitempty"`
}

// ChatflowStatus is one chatflow.
type ChatflowStatus struct {
	ID       string   `json:"id"`
	Name     string   `json:"name,omitempty"`
	Public   bool     `json:"public"`
	Keys     []string `json:"keys"`
	KeyCount int      `json:"key_count"` // more than Keys has, if they were limited
	// OpenTo are those of its keys that are valid now.
	OpenTo      []string `json:"open_to"`
	OpenToCount int      `json:"open_to_count"`
	CountStatus
}

// ExpiresSoon is how long before its end a key or a certificate is worth a word, as in the alert rules.
const ExpiresSoon = 14 * 24 * time.Hour

// Status returns the state of the gate. It holds no secret and no digest.
func (a *Admin) Status() Status { return a.status(view{}) }

func (a *Admin) status(v view) Status {
	o := a.opts
	st, snapshot, now := o.Store.Status(), o.Store.Snapshot(), time.Now()
	validAt := now
	if o.Now != nil {
		validAt = o.Now()
	}
	_, unlisted := a.proxy.Stats().Totals()
	sample := a.sample(now)
	all := sample.counts
	s := Status{
		Version: o.Version, Preset: o.Preset.Name, StartedAt: a.started.UTC(), Now: validAt.UTC(),
		Generation: st.Generation, KeysHash: snapshot.Hash(), Stale: st.Stale, Fault: reason(st.Err), Upstream: upstreamStatus(o.Upstream, a.proxy.Health()),
		Warnings: v.warnings(snapshot), RecentReloads: []ReloadStatus{}, Settings: settingsStatus(o), LimitsDegraded: a.degraded(), Certificates: certificateStatus(o.Certificates.Status()), Console: a.console,
		Totals: countStatus(all), Unlisted: countStatus(unlisted), Recent: a.history.lastMinute(all, now), History: a.history.lastHour(sample),
	}
	s.OpenRequests, s.Draining = a.proxy.OpenRequests()
	s.Settings.Keys = st.Path
	s.KeyFiles = v.keyFiles(st.Files)
	for _, r := range st.Recent {
		s.RecentReloads = append(s.RecentReloads, reloadStatus(r))
	}
	if len(s.RecentReloads) > 0 {
		s.LastReload = s.RecentReloads[0]
	}
	s.Keys, s.Expiring, s.KeyCounts = a.keyStatus(v, snapshot, validAt)
	s.Chatflows, s.ChatflowCounts = a.chatflowStatus(v, snapshot, validAt)
	s.Refusals, s.RefusedKeys, s.UpstreamRefusals = a.refusalStatus(v), a.refusedKeys(now), a.upstreamRefusals(snapshot)
	s.PublicChatflows = publicChatflows(snapshot)
	s.Warnings = append(s.Warnings, secretsWarning(o.Tokens)...)
	return s
}

func upstreamStatus(u *url.URL, h proxy.Health) UpstreamStatus {
	s := UpstreamStatus{URL: u.Redacted()}
	if h.Known {
		s.Up, s.Since, s.Error = &h.Up, optional(h.Since), reason(h.Err)
	}
	return s
}

func reloadStatus(r keystore.Reload) ReloadStatus {
	r.Time = r.Time.UTC()
	return ReloadStatus{r, reason(r.Err)}
}

func certificateStatus(all []certificate.Status) (list []CertificateStatus) {
	for _, st := range all {
		list = append(list, CertificateStatus{st.Name, st.Info, st.Err != nil, reason(st.Err)})
	}
	return list
}

func certificateReloads(all []certificate.Reload) (list []certificateReload) {
	for _, r := range all {
		list = append(list, certificateReload{r.Name, r.Result, reason(r.Err), r.New})
	}
	return list
}

func countStatus(c stats.Counts) CountStatus {
	return CountStatus{
		Requests: c.Requests, Failed: c.Failed, Refused: c.RefusedByCode(), Streams: c.Streams,
		LastCall: optional(c.LastRequest), LastRefused: optional(c.LastRefused),
	}
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
		per := strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(o.FailureLimit.Per.String()) // 1m, as people write it, not 1m0s
		s.FailureLimit = fmt.Sprintf("%d/%s", o.FailureLimit.Burst, per)
	}
	return s
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
