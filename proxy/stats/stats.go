// Package stats counts what becomes of requests: the metrics about them, counts for each key and chatflow, and the last
// refusals. It decides nothing. What it counts is outside the snapshot, so it survives reloads and rotations.
package stats

import (
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// Stats is what became of requests since the start. All methods may be called concurrently.
type Stats struct {
	metrics   *metrics
	chatflows chatflowCounters
	keys      keyUses
	refusals  refusals
}

// New returns stats whose metrics are registered in reg. The version is a label of flowlatch_build_info.
func New(reg *prometheus.Registry, version string) *Stats {
	s := &Stats{metrics: newMetrics(reg, version)}
	reg.MustRegister(usageCollector{&s.keys})
	return s
}

// Request is a request that has ended.
type Request struct {
	ID             string
	Method         string // a usual one, or "other"
	Client         netip.Addr
	Started, Ended time.Time
	FirstByte      time.Time          // of the response; zero if there was none
	Route          string             // this and the next three are empty or nil where they are not known
	Chatflow       *keystore.Chatflow // the entry by which the request was decided
	Key            *keystore.Key      // the one that was presented
	Secret         *keystore.Secret   // the one of its secrets
	Status         int
	Err            *problem.Error // why it was refused, or failed; nil if it did not
	Allowed        bool
	Outlives       bool          // the request goes on when its client leaves
	Abandoned      time.Duration // for which it did
	Honey          bool          // the key is a honey key
	UpstreamHint   func() string // says what the upstream wants, which refused the request; nil if it did not
}

// Open is a request that has not ended: what is counted of it already. The zero value is one that has begun. Its methods
// must not be called concurrently.
type Open struct {
	stats    *Stats    // that of the chatflow's stream; nil for none
	chatflow *counters // likewise
	key      *keyUse   // nil unless the key opened what the request asked for
}

// Use notes that a key opened what a request asked for. A key is used from the decision on, not when the response is over: by
// then a stream has gone on for hours.
func (s *Stats) Use(o *Open, k *keystore.Key, secret *keystore.Secret, started time.Time) {
	o.key = s.keys.of(k.ID)
	o.key.open.Add(1)
	storeMax(&o.key.last, started.Unix())
	o.key.note(secret, time.Now())
}

// BeginStream notes that the response is a stream, of a chatflow that may be nil.
func (s *Stats) BeginStream(o *Open, chatflow *keystore.Chatflow, started time.Time) {
	o.stats, o.chatflow = s, s.chatflows.of(chatflow)
	for _, c := range []*counters{o.chatflow, &s.chatflows.all} {
		c.streams.Add(1)
		storeMax(&c.last, started.Unix())
	}
	if o.key != nil {
		o.key.streams.Add(1)
	}
	s.metrics.streams.Inc()
}

// endStream undoes what BeginStream did, if it did.
func (o *Open) endStream() {
	if o.stats == nil {
		return
	}
	o.stats.metrics.streams.Dec()
	o.chatflow.streams.Add(-1)
	o.stats.chatflows.all.streams.Add(-1)
	if o.key != nil {
		o.key.streams.Add(-1)
	}
}

// End counts a request that has ended, once. It returns what its log line should say to the operator: once a minute for each
// chatflow whose requests the upstream refuses.
func (s *Stats) End(o *Open, r *Request) (hint string) {
	o.endStream()
	s.metrics.count(r)
	s.refusals.note(r)
	s.chatflows.all.count(r)
	chatflow := o.chatflow
	if chatflow == nil {
		chatflow = s.chatflows.of(r.Chatflow)
	}
	chatflow.count(r)
	switch {
	case o.key != nil:
		o.key.count(r)
		o.key.note(r.Secret, r.Ended)
		o.key.open.Add(-1)
	case r.Key != nil: // it opened nothing
		use := s.keys.of(r.Key.ID)
		use.count(r)
		if r.Honey {
			use.honey.Add(1)
		}
	}
	return chatflow.upstreamRefusal.note(r)
}

// Limited counts a request that exceeds a limit, enforced or not. Key and chatflow are empty where there is none.
func (s *Stats) Limited(key, chatflow, limit string) {
	s.metrics.exceeded.WithLabelValues(key, chatflow, limit).Inc()
}

// BrowserToken counts a browser token of a key: one that was minted, or what became of a request with one.
func (s *Stats) BrowserToken(key, result string) {
	s.metrics.browserTokens.WithLabelValues(key, result).Inc()
}

// Prune forgets what is counted for keys and chatflows that a snapshot does not have, unless they have open requests.
func (s *Stats) Prune(snapshot *keystore.Snapshot) {
	s.chatflows.prune(snapshot)
	s.keys.prune(snapshot)
	s.metrics.prune(snapshot)
}
