package proxy

import (
	"context"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// pruneEvery is how often it is looked whether there is something to forget.
const pruneEvery = time.Second

// pruneGone forgets what is counted for keys and chatflows that left the key file, until ctx is done. A request that
// began before a reload and ends after it may count for one that is gone, so it is looked again after each of those.
func (p *Proxy) pruneGone(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	var last *keystore.Snapshot
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s := p.opts.Store.Snapshot(); p.endedLate.Swap(false) || s != last {
			p.prune(s)
			last = s
		}
	}
}

func (p *Proxy) prune(s *keystore.Snapshot) {
	p.counters.prune(s)
	p.keys.prune(s)
	p.metrics.prune(s)
	p.credentials.prune(s, p.opts.UpstreamAuthorization.Path)
}
