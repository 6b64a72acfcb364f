package proxy

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/flowlatch/flowlatch/keystore"
)

// metrics are the counters of the gate. Values of labels come from the key file and the route table,
// never from a request, so their number is the operator's choice.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	denied   *prometheus.CounterVec
	streams  prometheus.Gauge
	lastUsed sync.Map // key ID → *atomic.Int64, seconds since 1970

	mu     sync.RWMutex // guards what follows
	series map[labels]*series
}

// labels are those of a request.
type labels struct {
	route, chatflow, key string
	status               int
}

// series are the counters of requests with the same labels: looking them up by their labels anew takes longer than
// counting.
type series struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

func (m *metrics) of(l labels) *series {
	m.mu.RLock()
	s := m.series[l]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	s = &series{
		requests: m.requests.WithLabelValues(l.route, l.chatflow, l.key, strconv.Itoa(l.status)),
		duration: m.duration.WithLabelValues(l.route),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.series[l] = s
	return s
}

func newMetrics(reg *prometheus.Registry, p *Proxy, version string) *metrics {
	m := &metrics{
		series: map[labels]*series{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flowlatch_requests_total",
			Help: "Requests by route, chatflow, key ID and HTTP status; empty where a request had none that is known.",
		}, []string{"route", "chatflow", "key", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "flowlatch_request_duration_seconds",
			Help:    "Time from the head of a request to the end of its answer.",
			Buckets: []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}, []string{"route"}),
		denied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flowlatch_denied_total",
			Help: "Requests that flowlatch refused or could not serve, by code.",
		}, []string{"code"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "flowlatch_streams_active",
			Help: "Event streams and websockets that are open now.",
		}),
	}
	for code := range answers {
		m.denied.WithLabelValues(string(code)) // there from the start, so that a rate has a beginning
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "flowlatch_build_info", Help: "Always 1; the version is in the label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	reg.MustRegister(m.requests, m.duration, m.denied, m.streams, build, &stateCollector{p, m},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// count adds a request that has ended.
func (m *metrics) count(r *record, took time.Duration) {
	l := labels{status: r.status}
	if r.route != nil {
		l.route = r.route.label()
	}
	if r.chatflow != nil {
		l.chatflow = r.chatflow.Label()
	}
	if r.key != nil {
		l.key = r.key.ID
		if r.allowed {
			m.used(l.key, r.started)
		}
	}
	s := m.of(l)
	s.requests.Inc()
	s.duration.Observe(took.Seconds())
	if r.err != nil && answers[r.err.Code].status != 0 {
		m.denied.WithLabelValues(string(r.err.Code)).Inc()
	}
}

func (m *metrics) used(key string, at time.Time) {
	v, ok := m.lastUsed.Load(key)
	if !ok {
		v, _ = m.lastUsed.LoadOrStore(key, &atomic.Int64{})
	}
	v.(*atomic.Int64).Store(at.Unix())
}

// LastUsed returns when a key last let a request through; the zero time if not since the start.
func (p *Proxy) LastUsed(key string) time.Time {
	if v, ok := p.metrics.lastUsed.Load(key); ok {
		return time.Unix(v.(*atomic.Int64).Load(), 0).UTC()
	}
	return time.Time{}
}

// stateCollector reports what the key store and the runner are at the time of a scrape.
type stateCollector struct {
	proxy   *Proxy
	metrics *metrics
}

var (
	descLoaded = prometheus.NewDesc("flowlatch_keys_loaded", "Keys in force.", nil, nil)
	descGen    = prometheus.NewDesc("flowlatch_keys_generation", "Counts the versions of the key file that came into force.", nil, nil)
	descReload = prometheus.NewDesc("flowlatch_keys_reloads_total", "Reloads of the key file by result: success, unchanged (asked for, nothing new), failure (a new fault).", []string{"result"}, nil)
	descLast   = prometheus.NewDesc("flowlatch_keys_last_reload_success_timestamp_seconds", "When the key file was last found to be what is in force.", nil, nil)
	descStale  = prometheus.NewDesc("flowlatch_keys_stale", "1 if the key file has a fault and an older version of it is in force.", nil, nil)
	descUsed   = prometheus.NewDesc("flowlatch_key_last_used_timestamp_seconds", "When the key last let a request through, since the start.", []string{"key"}, nil)
	descExpiry = prometheus.NewDesc("flowlatch_key_expiry_timestamp_seconds", "When the key's last secret ceases to be valid, for keys that have an end.", []string{"key"}, nil)
	descCert   = prometheus.NewDesc("flowlatch_certificate_expiry_timestamp_seconds", "When the certificate that TLS is spoken with ends; of a file of authorities, when the first does.", []string{"certificate"}, nil)
	descBad    = prometheus.NewDesc("flowlatch_certificate_stale", "1 if the last reload of the certificate's files failed, and what was in force before stays so.", []string{"certificate"}, nil)
	descUp     = prometheus.NewDesc("flowlatch_upstream_up", "1 if the runner could be reached when it was last tried.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLoaded, descGen, descReload, descLast, descStale, descUsed, descExpiry, descCert, descBad, descUp} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	st, snapshot := c.proxy.store.Status(), c.proxy.store.Snapshot()
	gauge(descLoaded, float64(len(snapshot.Keys())))
	gauge(descGen, float64(st.Generation))
	gauge(descLast, float64(st.LastSuccess.Unix()))
	gauge(descStale, b2f(st.Stale))
	for _, r := range []keystore.Result{keystore.Loaded, keystore.Unchanged, keystore.Failed} {
		ch <- prometheus.MustNewConstMetric(descReload, prometheus.CounterValue, float64(st.Reloads[r]), string(r))
	}
	for _, k := range snapshot.Keys() {
		if t := k.NotAfter(); !t.IsZero() {
			gauge(descExpiry, float64(t.Unix()), k.ID)
		}
		if t := c.proxy.LastUsed(k.ID); !t.IsZero() {
			gauge(descUsed, float64(t.Unix()), k.ID)
		}
	}
	for _, st := range c.proxy.certificates.Status() {
		gauge(descCert, float64(st.NotAfter.Unix()), string(st.Name))
		gauge(descBad, b2f(st.Err != nil), string(st.Name))
	}
	if up := c.proxy.health.get(); up.Known {
		gauge(descUp, b2f(up.Up))
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
