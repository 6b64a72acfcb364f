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

// warnUnreadable warns, once, that a trusted peer sends an X-Forwarded-For that cannot be read. Its content may be the
// client's, so it is not logged.
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
