// Package admin is the operator's side of a gate: probes, metrics, the status as JSON and as a page, and reloads. It
// decides nothing about requests. Package console changes keys.
package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/admin/console"
)

// Admin is the handler of the admin listener. Without the admin token, clients can see the status and reload, but
// change nothing. So it belongs on loopback or on a network of the operator, never on the data port. All methods may be
// called concurrently.
type Admin struct {
	http.Handler
	proxy   *proxy.Proxy
	opts    proxy.Options // of the proxy
	started time.Time
	history history
	// keyHours and chatflowHours are the last hour of each key and chatflow.
	keyHours, chatflowHours hours

	console    bool       // whether keys can be changed
	viewing    sync.Mutex // held while a status is put together
	compressor compressor

	largeStatus large
}

// Options say who may change keys. With the zero value, nobody may.
type Options = console.Options

// New returns the handler for a gate, and registers metrics about its keys, certificates and upstream on the gate's
// registry. There can be only one for a gate.
func New(p *proxy.Proxy, o Options) *Admin {
	a := &Admin{proxy: p, opts: p.Options(), started: time.Now(), largeStatus: newLarge(), console: o.Door != nil}
	a.history.begin(a.started)
	a.sampleHours(a.started)
	a.opts.Registry.MustRegister(&collector{a})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.serveReady)
	mux.Handle("GET /metrics", newLarge().handler(promhttp.HandlerFor(a.opts.Registry, promhttp.HandlerOpts{})))
	mux.HandleFunc("GET /status", a.serveStatus)
	mux.HandleFunc("GET /status/hours", a.serveHours)
	mux.HandleFunc("GET /usage", a.serveUsage)
	mux.HandleFunc("POST /-/reload", a.serveReload)
	servePage(mux)
	console.New(p, o).Register(mux)
	a.Handler = guard(mux)
	return a
}

// Run keeps the history that the status shows, until ctx is done.
func (a *Admin) Run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			a.history.add(a.sample(now))
			a.sampleHours(now)
		}
	}
}

func (a *Admin) sample(now time.Time) sample {
	all, _ := a.proxy.Stats().Totals()
	return sample{now, all, a.proxy.Stats().ResponseTimes()}
}

// smallView is the largest limit of keys and chatflows with which a status does not count as a large response.
const smallView = 500

// serveStatus shows the status, or as much of it as the query asks for.
func (a *Admin) serveStatus(w http.ResponseWriter, r *http.Request) {
	if q := r.URL.Query(); q.Has("key") {
		a.serveKey(w, q.Get("key"))
		return
	}
	v, err := parseView(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if v.requestID != "" {
		writeJSON(w, http.StatusOK, refusalsResponse{a.refusals(v)})
		return
	}
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serveView(w, r, v) })
	if !v.small() {
		a.largeStatus.handler(show).ServeHTTP(w, r)
		return
	}
	show(w, r)
}

// serveView shows a status. It is put together for one client at a time, so that pages that are left open cost at most
// one processor.
func (a *Admin) serveView(w http.ResponseWriter, r *http.Request, v view) {
	a.viewing.Lock()
	if r.Context().Err() != nil { // the client is gone, and others are waiting
		a.viewing.Unlock()
		return
	}
	s := a.status(v)
	a.viewing.Unlock()
	if v.limit > 0 { // as for the page, which asks every 2 s
		a.compressor.write(w, r, s)
		return
	}
	writeJSON(w, http.StatusOK, s)
}

// serveReady reports whether requests would be served: keys are loaded, or there would be no Proxy, and the gate is not
// draining. The upstream's health is left out on purpose: a gate that is taken out of service because its upstream is
// down cannot even say so.
func (a *Admin) serveReady(w http.ResponseWriter, _ *http.Request) {
	if _, draining := a.proxy.OpenRequests(); draining {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // a client that has left cannot be told
}
