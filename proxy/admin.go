package proxy

import (
	"encoding/json"
	"net/http"
	"slices"

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
	mux.HandleFunc("GET /status", p.serveStatus)
	mux.HandleFunc("POST /-/reload", p.serveReload)
	servePage(mux)
	return guardAdmin(mux)
}

// serveStatus shows the status, or as much of it as the query asks for. What chooses among many keys is done
// for one caller at a time, so that pages that are left open cost at most one processor.
func (p *Proxy) serveStatus(w http.ResponseWriter, r *http.Request) {
	v, err := parseView(r.URL.Query())
	if err != nil {
		text(w, http.StatusBadRequest, err.Error())
		return
	}
	if v == (view{}) {
		writeJSON(w, http.StatusOK, p.Status())
		return
	}
	p.viewing.Lock()
	gone := r.Context().Err() != nil // while it waited: others wait behind it
	var s Status
	if !gone {
		s = p.status(v)
	}
	p.viewing.Unlock()
	if !gone {
		writeJSON(w, http.StatusOK, s)
	}
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
