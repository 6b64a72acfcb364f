package admin

import (
	"net/http"
	"time"

	"github.com/flowlatch/flowlatch/proxy/limit"
)

// UsageStatus is what GET /usage shows.
type UsageStatus struct {
	// Usage is what keys and chatflows used: at all gates that share a Redis, or at this one.
	Usage []limit.Usage `json:"usage"`
	// Degraded says that Redis does not answer, so that the usage of other gates is missing.
	Degraded bool `json:"degraded"`
}

func (a *Admin) serveUsage(w http.ResponseWriter, r *http.Request) {
	all, err := a.opts.Limiter.Usage(r.Context(), time.Now())
	if err != nil {
		http.Error(w, "usage cannot be read: "+err.Error(), http.StatusBadGateway)
		return
	}
	writeJSON(w, http.StatusOK, UsageStatus{append([]limit.Usage{}, all...), a.degraded()})
}
