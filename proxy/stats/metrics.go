package stats

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// metrics are the gate's Prometheus metrics about requests. Label values come from the key file and the route table,
// never from a request, so clients cannot add series.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	header   *prometheus.HistogramVec
	headers  prometheus.Gatherer // of header alone
	denied   *prometheus.CounterVec
	refused  []prometheus.Counter // of denied, by the index of the code
	streams  prometheus.Gauge

	exceeded  *prometheus.CounterVec
	abandoned *prometheus.CounterVec

	browserTokens *prometheus.CounterVec

	mu     sync.RWMutex // guards series
	series map[labels]*series
}

// labels are those of a request.
type labels struct {
	route, chatflow, key string
	status               int
	outlives             bool // not a label: the request counts in abandoned, too
}

func (r *Request) labels() labels {
	l := labels{route: r.Route, status: r.Status, outlives: r.Outlives}
	if r.Chatflow != nil {
		l.chatflow = r.Chatflow.Label()
	}
	if r.Key != nil {
		l.key = r.Key.ID
	}
	return l
}

// values are in the order in which newMetrics declares them.
func (l labels) values() []string {
	return []string{l.route, l.chatflow, l.key, strconv.Itoa(l.status)}
}

// series are the metrics for requests with the same labels. They are kept because looking up a metric by its labels takes
// longer than counting.
type series struct {
	requests  prometheus.Counter
	duration  prometheus.Observer
	header    prometheus.Observer
	abandoned prometheus.Counter // nil unless the requests outlive their clients
}

func (m *metrics) of(l labels) *series {
	m.mu.RLock()
	s := m.series[l]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	m.mu.Lock() // held while the series is made, or prune could delete its metrics and leave it in the map
	defer m.mu.Unlock()
	s = &series{
		requests: m.requests.WithLabelValues(l.values()...),
		duration: m.duration.WithLabelValues(l.route),
		header:   m.header.WithLabelValues(l.route),
	}
	if l.outlives {
		s.abandoned = m.abandoned.WithLabelValues(l.key, l.chatflow)
	}
	m.series[l] = s
	return s
}

// buckets are the upper bounds of durations, in seconds.
var buckets = []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

func newMetrics(reg *prometheus.Registry, version string) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	byRoute := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"route"})
	}
	m := &metrics{
		series: map[labels]*series{},
		requests: counter("flowlatch_requests_total",
			"Requests by route, chatflow, key ID and HTTP status; empty where a request had none that is known.", "route", "chatflow", "key", "code"),
		duration: byRoute("flowlatch_request_duration_seconds", "Time from the header of a request to the end of its response."),
		header:   byRoute("flowlatch_response_header_seconds", "Time from the header of an allowed request to the header of its response."),
		denied:   counter("flowlatch_denied_total", "Requests that flowlatch refused or could not serve, by code.", "code"),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "flowlatch_streams_active",
			Help: "Event streams and websockets that are open now.",
		}),
		exceeded: counter("flowlatch_limited_total",
			"Requests that exceeded a limit, by key ID, chatflow and limit; also where the limit is not enforced.", "key", "chatflow", "limit"),
		abandoned: counter("flowlatch_abandoned_seconds_total",
			"Time for which the upstream went on with requests whose client had left, where their number at once is limited or they are aborted.",
			"key", "chatflow"),
		browserTokens: counter("flowlatch_browser_tokens_total",
			"Browser tokens by the ID of their key: minted, or denied to whoever asked for one; made a session; and requests with one that were allowed or refused.",
			"key", "result"),
	}
	for _, code := range problem.Codes() {
		m.refused = append(m.refused, m.denied.WithLabelValues(string(code))) // from the start, so that rate() has a first value
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "flowlatch_build_info", Help: "Always 1; the version is in the label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	headers := prometheus.NewRegistry()
	headers.MustRegister(m.header)
	m.headers = headers
	reg.MustRegister(m.requests, m.duration, m.header, m.denied, m.streams, m.exceeded, m.abandoned, m.browserTokens, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// count adds a request that has ended.
func (m *metrics) count(r *Request) {
	s := m.of(r.labels())
	s.requests.Inc()
	s.duration.Observe(r.Ended.Sub(r.Started).Seconds())
	if r.Allowed && !r.FirstByte.IsZero() {
		s.header.Observe(r.FirstByte.Sub(r.Started).Seconds())
	}
	if s.abandoned != nil {
		s.abandoned.Add(r.Abandoned.Seconds()) // also zero, or rate() would not see the first value that is not
	}
	if r.Err != nil {
		if i := r.Err.Code.Index(); i >= 0 {
			m.refused[i].Inc()
		}
	}
}

// prune deletes the series of keys and chatflows that the key file no longer has.
func (m *metrics) prune(s *keystore.Snapshot) {
	keys, chatflows := map[string]bool{}, map[string]bool{}
	m.mu.RLock()
	for l := range m.series {
		keys[l.key], chatflows[l.chatflow] = true, true
	}
	m.mu.RUnlock()
	delete(keys, "")
	delete(chatflows, "")
	for _, k := range s.Keys() {
		delete(keys, k.ID)
	}
	for _, c := range s.Chatflows() {
		delete(chatflows, c.Label())
	}
	if len(keys) == 0 && len(chatflows) == 0 {
		return
	}
	for _, v := range []*prometheus.CounterVec{m.exceeded, m.browserTokens} {
		for key := range keys {
			v.DeletePartialMatch(prometheus.Labels{"key": key})
		}
		for chatflow := range chatflows { // does nothing where that is not a label
			v.DeletePartialMatch(prometheus.Labels{"chatflow": chatflow})
		}
	}
	for {
		var gone []labels
		m.mu.RLock()
		for l := range m.series {
			if keys[l.key] || chatflows[l.chatflow] {
				gone = append(gone, l)
			}
		}
		m.mu.RUnlock()
		if len(gone) == 0 { // the loop also finds series that were made meanwhile, on metrics that were deleted for others
			return
		}
		for _, l := range gone { // one at a time: requests wait for the lock
			m.mu.Lock()
			m.requests.DeleteLabelValues(l.values()...)
			m.abandoned.DeleteLabelValues(l.key, l.chatflow)
			delete(m.series, l)
			m.mu.Unlock()
		}
	}
}
