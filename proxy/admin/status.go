package admin

import (
	"net/url"
	"time"

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
	// Totals are of all requests, Unlisted of those for no chatflow in the key file.
	Totals         CountStatus      `json:"totals"`
	Unlisted       CountStatus      `json:"unlisted"`
	Recent         RecentStatus     `json:"recent"`
	History        []MinuteStatus   `json:"history"` // of an hour
	KeyCounts      KeyCounts        `json:"key_counts"`
	ChatflowCounts ChatflowCounts   `json:"chatflow_counts"`
	Keys           []KeyStatus      `json:"keys"`
	Chatflows      []ChatflowStatus `json:"chatflows"`
	// Refusals are the last that the filter lets through, the newest first.
	Refusals []*stats.Refusal `json:"refusals"`
	// RefusedKeys are the known keys that were refused in the last hour, the last one first.
	RefusedKeys []RefusedKeyStatus `json:"refused_keys"`
	// UpstreamRefusals are chatflows whose allowed requests the upstream refuses, the last one first.
	UpstreamRefusals []stats.UpstreamRefusal `json:"upstream_refusals"`
	// PublicChatflows are the first of the chatflows that need no key, as logs name them.
	PublicChatflows []string `json:"public_chatflows"`
	// Expiring are the first of the valid keys that expire within 14 days.
	Expiring []ExpiringStatus `json:"expiring"`

	Certificates []CertificateStatus `json:"certificates,omitempty"`
}

// UpstreamStatus is what is known of the upstream.
type UpstreamStatus struct {
	URL   string    `json:"url"`
	Up    *bool     `json:"up"` // null until it was tried
	Since time.Time `json:"since,omitzero"`
	Error string    `json:"error,omitempty"`
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

// CertificateStatus is a server or client certificate, or the CAs of a file.
type CertificateStatus struct {
	Certificate certificate.Name `json:"certificate"`
	certificate.Info
	// Stale says that the files are invalid and an older certificate stays active, and Fault why.
	Stale bool   `json:"stale"`
	Fault string `json:"fault,omitempty"`
}

// CountStatus is what became of requests since the start.
type CountStatus struct {
	Requests uint64 `json:"requests"`
	// Failed are those that got a status from 500, from the upstream or from the gate.
	Failed uint64 `json:"failed"`
	// Refused are those that the gate refused or could not serve, by code.
	Refused     map[problem.Code]uint64 `json:"refused,omitempty"`
	Streams     int64                   `json:"streams"` // open now
	LastCall    time.Time               `json:"last_call,omitzero"`
	LastRefused time.Time               `json:"last_refused,omitzero"`
}

// Status returns the state of the gate. It holds no secret and no digest.
func (a *Admin) Status() Status { return a.status(view{}) }

func (a *Admin) status(v view) Status {
	o := a.opts
	st, snapshot, now, validAt := o.Store.Status(), o.Store.Snapshot(), time.Now(), a.proxy.Now()
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
	s.Refusals, s.RefusedKeys, s.UpstreamRefusals = a.refusals(v), a.refusedKeys(now), a.upstreamRefusals(snapshot)
	s.PublicChatflows = publicChatflows(snapshot)
	if err := o.Tokens.Fault(); err != nil {
		s.Warnings = append(s.Warnings, "the secrets of browser tokens are invalid, and the last good ones stay active: "+err.Error())
	}
	return s
}

func upstreamStatus(u *url.URL, h proxy.Health) UpstreamStatus {
	s := UpstreamStatus{URL: u.Redacted()}
	if h.Known {
		s.Up, s.Since, s.Error = &h.Up, h.Since.UTC(), reason(h.Err)
	}
	return s
}

func certificateStatus(all []certificate.Status) (list []CertificateStatus) {
	for _, st := range all {
		list = append(list, CertificateStatus{st.Name, st.Info, st.Err != nil, reason(st.Err)})
	}
	return list
}

func countStatus(c stats.Counts) CountStatus {
	return CountStatus{
		Requests: c.Requests, Failed: c.Failed, Refused: c.RefusedByCode(), Streams: c.Streams,
		LastCall: c.LastRequest.UTC(), LastRefused: c.LastRefused.UTC(),
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
