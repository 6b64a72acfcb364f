// Package stats counts what becomes of requests: metrics about them, counts for each key and chatflow, and the last
// refusals. It decides nothing. Its counts are not part of the snapshot, so they survive reloads and rotations.
package stats

import (
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// Stats counts what became of requests since the start. All methods may be called concurrently.
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

// Request is a request that has ended, as it is counted.
type Request struct {
	ID             string
	Method         string // a usual method, or "other"
	Client         netip.Addr
	Started, Ended time.Time
	FirstByte      time.Time          // of the response; zero if there was none
	Route          string             // this and the next three are empty or nil if not known
	Chatflow       *keystore.Chatflow // the entry that the decision was based on
	Key            *keystore.Key      // the key that was presented
	Secret         *keystore.Secret   // which of its secrets was presented
	Status         int
	Err            *problem.Error // why the request was refused, or failed; else nil
	Allowed        bool
	Outlives       bool          // the upstream goes on with the request when the client leaves
	Abandoned      time.Duration // how long it went on
	Honey          bool          // the key is a honey key
	UpstreamHint   func() string // says what the upstream wants, if it refused the request; else nil
}

// Open is what is counted of a request that has not ended yet. The zero value is for one that has just begun. Its methods
// must not be called concurrently.
type Open struct {
	stats    *Stats    // set if the response is a stream
	chatflow *counters // of the stream's chatflow; likewise
	key      *keyUse   // set if the key opened what the request asked for
}

// Use notes that a key opened what a request asked for. The key counts as used from the decision on. If that waited for
// the end of the response, a stream would show up only hours later.
func (s *Stats) Use(o *Open, k *keystore.Key, secret *keystore.Secret, started time.Time) {
	o.key = s.keys.of(k.ID)
	o.key.open.Add(1)
	storeMax(&o.key.last, started.Unix())
	o.key.note(secret, time.Now())
}

// BeginStream notes that the response is a stream. chatflow may be nil.
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

// endStream undoes BeginStream, if that was called.
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

// End counts a request that has ended. It must be called once. It returns a hint for the operator, for the request's log
// line: at most once a minute for each chatflow whose requests the upstream refuses.
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
	case r.Key != nil: // the key opened nothing
		use := s.keys.of(r.Key.ID)
		use.count(r)
		if r.Honey {
			use.honey.Add(1)
		}
	}
	return chatflow.upstreamRefusal.note(r)
}

// Limited counts a request that exceeds a limit, enforced or not. key and chatflow are empty if there is none.
func (s *Stats) Limited(key, chatflow, limit string) {
	s.metrics.exceeded.WithLabelValues(key, chatflow, limit).Inc()
}

// BrowserToken counts something that happened with a browser token of a key: it was minted, or a request presented it.
func (s *Stats) BrowserToken(key, result string) {
	s.metrics.browserTokens.WithLabelValues(key, result).Inc()
}

// Prune forgets what is counted for keys and chatflows that the snapshot does not have, unless they have open requests.
func (s *Stats) Prune(snapshot *keystore.Snapshot) {
	s.chatflows.prune(snapshot)
	s.keys.prune(snapshot)
	s.metrics.prune(snapshot)
}
