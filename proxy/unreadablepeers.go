package proxy

import (
	"net/netip"
	"sync"
)

// maxUnreadablePeers is the most trusted peers for which there is a warning about their X-Forwarded-For.
const maxUnreadablePeers = 64

// unreadablePeers are the trusted peers for which there was a warning.
type unreadablePeers struct {
	mu    sync.Mutex // guards known
	known map[netip.Addr]bool
}

// warnUnreadable warns, once for each peer, that a trusted peer sends a malformed X-Forwarded-For. Its content may come
// from the client, so it is not logged.
func (p *Proxy) warnUnreadable(peer netip.Addr) {
	u := &p.unreadable
	u.mu.Lock()
	isNew := !u.known[peer] && len(u.known) < maxUnreadablePeers
	if isNew {
		u.known[peer] = true
	}
	u.mu.Unlock()
	if isNew {
		p.opts.Log.Warn().Str("peer", peer.String()).
			Msg("the X-Forwarded-For of a trusted proxy cannot be read, so a proxy's own address counts as the client's; have it send IP addresses separated by commas")
	}
}
