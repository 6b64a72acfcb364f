package stats

import (
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowlatch/flowlatch/keystore"
)

// TestPruneWhileRequestsEnd lets requests end while their key is pruned. After it is pruned once more, it has no series.
func TestPruneWhileRequestsEnd(t *testing.T) {
	t.Parallel()
	m := newMetrics(prometheus.NewRegistry(), "test")
	var empty keystore.Snapshot
	key := &keystore.Key{ID: "a"}
	for range 1000 {
		for status := range 20 {
			m.count(&Request{Key: key, Status: 200 + status})
		}
		var wg sync.WaitGroup
		for status := range 4 {
			wg.Go(func() { m.count(&Request{Key: key, Status: 200 + status, Outlives: true, Abandoned: time.Second}) })
		}
		wg.Go(func() { m.prune(&empty) })
		wg.Wait()
		m.prune(&empty)
		for name, v := range map[string]*prometheus.CounterVec{"requests": m.requests, "abandoned": m.abandoned} {
			series := make(chan prometheus.Metric, 100)
			v.Collect(series)
			if n := len(series); n > 0 {
				t.Fatalf("%s has %d series of a key that is gone, want none", name, n)
			}
		}
	}
}
