package proxy

import (
	"context"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// How often to check whether there is something to forget.
const (
	pruneEvery  = time.Second
	forgetEvery = 10 * time.Second // of limits and browser tokens; rarely, because requests wait while all counters are visited
)

// pruneGone forgets what is counted for keys and chatflows that have left the key file, until ctx is done. A request that
// began before a reload and ends after it may be counted for one that is gone, so such a request makes pruneGone check
// again.
func (p *Proxy) pruneGone(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	forget := time.NewTicker(forgetEvery)
	defer forget.Stop()
	var last *keystore.Snapshot
	for {
		select {
		case <-ctx.Done():
			return
		case <-forget.C:
			now := p.Now()
			p.opts.Limiter.Prune(now)
			p.opts.Tokens.Forget(now)
			p.messages.Forget(now)
			continue
		case <-tick.C:
		}
		if s := p.opts.Store.Snapshot(); p.endedLate.Swap(false) || s != last {
			p.stats.Prune(s)
			p.credentials.Prune(s, p.opts.UpstreamAuthorization.Path)
			last = s
		}
	}
}

// countedForGone reports whether the request was counted for a key or chatflow that may not be in s any more.
func (x *exchange) countedForGone(s *keystore.Snapshot) bool {
	if x.snapshot == nil || x.snapshot == s {
		return false
	}
	if x.Entry != nil {
		if now := s.Entry(x.Entry.ID); now == nil || now.Label() != x.Entry.Label() {
			return true
		}
	}
	if x.Key == nil {
		return false
	}
	if x.Secret == nil { // a browser token was presented
		return s.BrowserKey(x.Key.ID) == nil
	}
	now := s.Match(x.Secret.Digest, x.started).Key // looking for the key's ID would take longer
	return now == nil || now.ID != x.Key.ID
}
