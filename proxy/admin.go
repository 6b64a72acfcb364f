package proxy

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

// Admin returns the handler of the admin listener. It has no authentication: it belongs on loopback
// or a network of the operator's, never on the data port.
func (p *Proxy) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", p.serveReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, p.Status()) })
	mux.HandleFunc("POST /-/reload", p.serveReload)
	// A page in an operator's browser must not be able to send orders here.
	return http.NewCrossOriginProtection().Handler(mux)
}

// serveReady says whether requests would be served: keys are loaded, or there would be no Proxy, and
// the gate is not draining. The runner's health is left out on purpose: see health.
func (p *Proxy) serveReady(w http.ResponseWriter, _ *http.Request) {
	if p.inflight.closed.Load() {
		text(w, http.StatusServiceUnavailable, "draining")
		return
	}
	text(w, http.StatusOK, "ok")
}

func (p *Proxy) serveReload(w http.ResponseWriter, _ *http.Request) {
	r, certificates := p.store.Reload(), p.certificates.Reload()
	status := http.StatusOK
	if r.Result == keystore.Failed || slices.ContainsFunc(certificates, func(c certificate.Reload) bool { return c.Result == certificate.Failed }) {
		status = http.StatusUnprocessableEntity
	}
	writeJSON(w, status, reloadAnswer{reloadStatus(r), certificateReloads(certificates)})
}

// Status is the state of the gate, as `GET /status` shows it.
type Status struct {
	Version       string           `json:"version"`
	Preset        string           `json:"preset"`
	StartedAt     time.Time        `json:"started_at"`
	Draining      bool             `json:"draining"`
	OpenRequests  int64            `json:"open_requests"`
	Upstream      UpstreamStatus   `json:"upstream"`
	Generation    uint64           `json:"generation"`
	Stale         bool             `json:"stale"`
	Fault         string           `json:"fault,omitempty"`
	LastReload    ReloadStatus     `json:"last_reload"`
	RecentReloads []ReloadStatus   `json:"recent_reloads"`
	Warnings      []string         `json:"warnings"`
	Keys          []KeyStatus      `json:"keys"`
	Chatflows     []ChatflowStatus `json:"chatflows"`

	Certificates []CertificateStatus `json:"certificates,omitempty"`
}

// UpstreamStatus is what is known of the runner.
type UpstreamStatus struct {
	URL   string     `json:"url"`
	Up    *bool      `json:"up"` // null until it was tried
	Since *time.Time `json:"since,omitempty"`
	Error string     `json:"error,omitempty"`
}

// ReloadStatus is one reload of the key file.
type ReloadStatus struct {
	Time             time.Time       `json:"time"`
	Result           keystore.Result `json:"result"`
	Generation       uint64          `json:"generation"`
	Error            string          `json:"error,omitempty"`
	KeysAdded        []string        `json:"keys_added,omitempty"`
	KeysRemoved      []string        `json:"keys_removed,omitempty"`
	KeysChanged      []string        `json:"keys_changed,omitempty"`
	ChatflowsAdded   []string        `json:"chatflows_added,omitempty"`
	ChatflowsRemoved []string        `json:"chatflows_removed,omitempty"`
	ChatflowsChanged []string        `json:"chatflows_changed,omitempty"`
}

// KeyStatus is one key, without its secrets and their digests.
type KeyStatus struct {
	ID        string     `json:"id"`
	Status    string     `json:"status"`
	Secrets   int        `json:"secrets"`
	NotBefore *time.Time `json:"not_before,omitempty"`
	NotAfter  *time.Time `json:"not_after,omitempty"`
	LastUsed  *time.Time `json:"last_used,omitempty"`
}

// ChatflowStatus is one chatflow.
type ChatflowStatus struct {
	ID     string   `json:"id"`
	Name   string   `json:"name,omitempty"`
	Public bool     `json:"public"`
	Keys   []string `json:"keys"`
}

// Status returns the state of the gate. It holds no secret and no digest.
func (p *Proxy) Status() Status {
	st, snapshot, now := p.store.Status(), p.store.Snapshot(), p.now()
	s := Status{
		Version: p.version, Preset: p.preset.Name, StartedAt: p.started.UTC(), Draining: p.inflight.closed.Load(), OpenRequests: p.inflight.open.Load(),
		Generation: st.Generation, Stale: st.Stale, Upstream: UpstreamStatus{URL: p.upstream.Redacted()},
		Warnings: snapshot.Warnings, RecentReloads: []ReloadStatus{}, Keys: []KeyStatus{}, Chatflows: []ChatflowStatus{},
		Certificates: certificateStatus(p.certificates.Status()),
	}
	if s.Warnings == nil {
		s.Warnings = []string{}
	}
	if st.Err != nil {
		s.Fault = st.Err.Error()
	}
	if up := p.health.get(); up.Known {
		s.Upstream.Up, s.Upstream.Since = &up.Up, optional(up.Since)
		if up.Err != nil {
			s.Upstream.Error = up.Err.Error()
		}
	}
	for _, r := range st.Recent {
		s.RecentReloads = append(s.RecentReloads, reloadStatus(r))
	}
	if len(s.RecentReloads) > 0 {
		s.LastReload = s.RecentReloads[0]
	}
	for _, k := range snapshot.Keys() {
		s.Keys = append(s.Keys, KeyStatus{
			ID: k.ID, Status: k.Validity(now).String(), Secrets: len(k.Secrets()),
			NotBefore: optional(k.NotBefore()), NotAfter: optional(k.NotAfter()), LastUsed: optional(p.LastUsed(k.ID)),
		})
	}
	for _, c := range snapshot.Chatflows() {
		cs := ChatflowStatus{ID: c.ID, Name: c.Name, Public: c.Public, Keys: []string{}}
		for _, k := range c.Keys() {
			cs.Keys = append(cs.Keys, k.ID)
		}
		s.Chatflows = append(s.Chatflows, cs)
	}
	return s
}

func reloadStatus(r keystore.Reload) ReloadStatus {
	s := ReloadStatus{
		Time: r.Time.UTC(), Result: r.Result, Generation: r.Generation,
		KeysAdded: r.KeysAdded, KeysRemoved: r.KeysRemoved, KeysChanged: r.KeysChanged,
		ChatflowsAdded: r.ChatflowsAdded, ChatflowsRemoved: r.ChatflowsRemoved, ChatflowsChanged: r.ChatflowsChanged,
	}
	if r.Err != nil {
		s.Error = r.Err.Error()
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

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(s + "\n"))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // a client that is gone cannot be told
}
