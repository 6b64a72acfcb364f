package proxy

import (
	"net/netip"
	"sync"
)

// maxUnreadablePeers is how many trusted peers get a warning about their X-Forwarded-For.
const maxUnreadablePeers = 64

// unreadablePeers are the trusted peers that were warned about.
type unreadablePeers struct {
	mu    sync.Mutex // guards known
	known map[netip.Addr]bool
}

// isNew reports whether there has been no warning about the peer, and notes that there is one now.
func (u *unreadablePeers) isNew(peer netip.Addr) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.known[peer] || len(u.known) >= maxUnreadablePeers {
		return false
	}
	if u.known == nil {
		u.known = map[netip.Addr]bool{}
	}
	u.known[peer] = true
	return true
}

// warnUnreadable warns, once, that a trusted peer sends an X-Forwarded-For that cannot be read. Its content may be the
// client's, so it is not logged.
func (p *Proxy) warnUnreadable(peer netip.Addr) {
	if p.unreadable.isNew(peer) {
		p.opts.Log.Warn().Str("peer", peer.String()).
			Msg("the X-Forwarded-For of a trusted proxy cannot be read, so a proxy's own address counts as the client's; have it send IP addresses separated by commas")
	}
}
