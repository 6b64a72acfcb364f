package stats

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowlatch/flowlatch/keystore"
)

// used is what the requests of a key have used at the upstream since the start.
type used struct {
	requests, nanoseconds, bytes atomic.Int64
}

// Used counts what a request has used, if a key opened it: time at the upstream, and bytes of bodies.
func (s *Stats) Used(o *Open, d time.Duration, bytes int64) {
	if o.key == nil {
		return
	}
	u := &o.key.sent
	u.requests.Add(1)
	u.nanoseconds.Add(int64(d))
	u.bytes.Add(bytes)
}

// usageCollector reports what keys have used. It reads the counters that requests add to, because a Prometheus metric
// would have to be looked up by its labels for each request.
type usageCollector struct{ keys *keyUses }

var usageTotal = prometheus.NewDesc("flowlatch_usage_total",
	"What keys have used: requests, stream_seconds at the upstream, and bytes of request and response bodies.", []string{"key", "unit"}, nil)

// Describe implements prometheus.Collector.
func (usageCollector) Describe(ch chan<- *prometheus.Desc) { ch <- usageTotal }

// Collect implements prometheus.Collector.
func (c usageCollector) Collect(ch chan<- prometheus.Metric) {
	c.keys.byID.Range(func(id, use any) bool {
		u := &use.(*keyUse).sent
		requests := u.requests.Load()
		if requests == 0 {
			return true
		}
		for unit, value := range [keystore.Units]float64{
			keystore.Requests: float64(requests), keystore.StreamSeconds: time.Duration(u.nanoseconds.Load()).Seconds(), keystore.Bytes: float64(u.bytes.Load()),
		} {
			ch <- prometheus.MustNewConstMetric(usageTotal, prometheus.CounterValue, value, id.(string), keystore.Unit(unit).String())
		}
		return true
	})
}
