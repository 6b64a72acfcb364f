package admin

import (
	"net/http"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/proxy/limit"
)

// UsageStatus is what GET /usage shows.
type UsageStatus struct {
	// Usage is what keys and chatflows used: at all gates that share a Redis, or at this one.
	Usage []limit.Usage `json:"usage"`
	// Degraded says that Redis does not answer, so that the usage of other gates is missing.
	Degraded bool `json:"degraded"`
	// NoKey says that the key that was asked for is unknown: the key file does not have it, and it has used nothing.
	NoKey string `json:"no_key,omitempty"`
}

// serveUsage responds with the usage of all keys and chatflows, or of one key: `GET /usage?key=ID`.
func (a *Admin) serveUsage(w http.ResponseWriter, r *http.Request) {
	all, err := a.opts.Limiter.Usage(r.Context(), time.Now())
	if err != nil {
		http.Error(w, "usage cannot be read: "+err.Error(), http.StatusBadGateway)
		return
	}
	status := UsageStatus{Usage: append([]limit.Usage{}, all...), Degraded: a.degraded()}
	if id := r.URL.Query().Get("key"); id != "" {
		status.Usage = slices.DeleteFunc(status.Usage, func(u limit.Usage) bool { return u.Kind != limit.Key.String() || u.ID != id })
		if _, err := a.opts.Store.Snapshot().KeyNamed(id); err != nil && len(status.Usage) == 0 {
			status.NoKey = err.Error()
		}
	}
	writeJSON(w, http.StatusOK, status)
}
