package admin

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowlatch/flowlatch/keystore"
)

// collector reports the state of key store, certificates and upstream at the time of a scrape.
type collector struct{ *Admin }

var (
	keysLoaded      = prometheus.NewDesc("flowlatch_keys_loaded", "Keys of the current key file.", nil, nil)
	keysGeneration  = prometheus.NewDesc("flowlatch_keys_generation", "Counts the versions of the key file that were applied.", nil, nil)
	keysReloads     = prometheus.NewDesc("flowlatch_keys_reloads_total", "Reloads of the key file by result: success, unchanged (asked for, nothing new), failure (a new fault).", []string{"result"}, nil)
	keysLastSuccess = prometheus.NewDesc("flowlatch_keys_last_reload_success_timestamp_seconds", "When the key file was last found to be what is applied.", nil, nil)
	keysStale       = prometheus.NewDesc("flowlatch_keys_stale", "1 if the key file is invalid and an older version of it stays active.", nil, nil)
	fileStale       = prometheus.NewDesc("flowlatch_keys_stale", "1 if the key file is invalid and an older version of it stays active. The file \".\" is the directory itself.", []string{"file"}, nil)
	keysHash        = prometheus.NewDesc("flowlatch_keys_hash_info", "Always 1. The hash of the applied key file: the first 8 hexadecimal digits of its SHA-256.", []string{"hash"}, nil)
	keyLastUsed     = prometheus.NewDesc("flowlatch_key_last_used_timestamp_seconds", "When the key last let a request through, since the start.", []string{"key"}, nil)
	keyExpiry       = prometheus.NewDesc("flowlatch_key_expiry_timestamp_seconds", "When the key's last secret expires, for keys that do.", []string{"key"}, nil)
	keyDenied       = prometheus.NewDesc("flowlatch_key_denied_total", "Requests with the key that flowlatch refused or could not serve, by code.", []string{"key", "code"}, nil)
	keyLastRefused  = prometheus.NewDesc("flowlatch_key_last_refused_timestamp_seconds", "When flowlatch last refused a request with the key or could not serve it, since the start.", []string{"key"}, nil)
	honey           = prometheus.NewDesc("flowlatch_honey_total", "Requests that presented the honey key. Each honey key has it from the start.", []string{"key"}, nil)
	concurrent      = prometheus.NewDesc("flowlatch_concurrent", "Requests of the key that are at the upstream now, of keys that have used it.", []string{"key"}, nil)
	backendUp       = prometheus.NewDesc("flowlatch_limits_backend_up", "1 if the Redis that limits are shared through answers.", nil, nil)
	degraded        = prometheus.NewDesc("flowlatch_limits_degraded", "1 while limits hold by --limits-fallback, because Redis does not answer.", nil, nil)
	certExpiry      = prometheus.NewDesc("flowlatch_certificate_expiry_timestamp_seconds", "When the certificate expires; of a file of CAs, when the first does.", []string{"certificate"}, nil)
	certStale       = prometheus.NewDesc("flowlatch_certificate_stale", "1 if the last reload of the certificate's files failed and the old one stays in use.", []string{"certificate"}, nil)
	upstreamUp      = prometheus.NewDesc("flowlatch_upstream_up", "1 if connections to the upstream can be opened and it responds to requests.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.keysStale()
	for _, d := range []*prometheus.Desc{keysLoaded, keysGeneration, keysReloads, keysLastSuccess, keysHash, keyLastUsed, keyExpiry, keyDenied, keyLastRefused, honey, concurrent, backendUp, degraded, certExpiry, certStale, upstreamUp} {
		ch <- d
	}
}

// keysStale returns the description of the metric. For a directory of key files, it has a series for each file.
func (c *collector) keysStale() *prometheus.Desc {
	if c.opts.Store.Snapshot().IsDirectory() {
		return fileStale
	}
	return keysStale
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	st, snapshot := c.opts.Store.Status(), c.opts.Store.Snapshot()
	gauge(keysLoaded, float64(len(snapshot.Keys())))
	gauge(keysGeneration, float64(st.Generation))
	gauge(keysLastSuccess, float64(st.LastSuccess.Unix()))
	if !snapshot.IsDirectory() {
		gauge(keysStale, b2f(st.Stale))
	}
	for _, f := range st.Files {
		gauge(fileStale, b2f(f.Err != nil), strings.ToValidUTF8(f.File, "?"))
	}
	gauge(keysHash, 1, snapshot.Hash())
	for _, r := range []keystore.Result{keystore.Loaded, keystore.Unchanged, keystore.Failed} {
		ch <- prometheus.MustNewConstMetric(keysReloads, prometheus.CounterValue, float64(st.Reloads[r]), string(r))
	}
	for _, k := range snapshot.Keys() {
		if t := k.NotAfter(); !t.IsZero() {
			gauge(keyExpiry, float64(t.Unix()), k.ID)
		}
		c.collectUse(ch, k)
		if !c.proxy.Stats().LastUsed(k.ID).IsZero() {
			gauge(concurrent, float64(c.opts.Limiter.Open(k.ID)), k.ID)
		}
	}
	if shared, ok := c.opts.Limiter.(interface{ Up() bool }); ok {
		gauge(backendUp, b2f(shared.Up()))
		gauge(degraded, b2f(!shared.Up()))
	}
	for _, st := range c.opts.Certificates.Status() {
		gauge(certExpiry, float64(st.NotAfter.Unix()), string(st.Name))
		gauge(certStale, b2f(st.Err != nil), string(st.Name))
	}
	if h := c.proxy.Health(); h.Known {
		gauge(upstreamUp, b2f(h.Up))
	}
}

// collectUse reports how a key was used.
func (c *collector) collectUse(ch chan<- prometheus.Metric, k *keystore.Key) {
	id := k.ID
	use := c.proxy.Stats().KeyUse(id)
	at := func(d *prometheus.Desc, t time.Time) {
		if !t.IsZero() {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(t.Unix()), id)
		}
	}
	at(keyLastUsed, use.LastUsed)
	at(keyLastRefused, use.LastRefused)
	if k.Honey {
		ch <- prometheus.MustNewConstMetric(honey, prometheus.CounterValue, float64(use.Honey), id)
	}
	for code, n := range use.RefusedByCode() {
		ch <- prometheus.MustNewConstMetric(keyDenied, prometheus.CounterValue, float64(n), id, string(code))
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
