package proxy

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientIP returns the address of the client and the chain to send upstream as X-Forwarded-For.
//
// Only a trusted peer is believed about who its client is. The chain is read from the right: the first address that is
// not a trusted proxy's is the client, and everything to the left of it is whatever the client wrote. It is cut off,
// because Flowise believes the leftmost address (TRUST_PROXY, on since 3.0.8) and counts its rate limits by it.
func clientIP(r *http.Request, trusted []netip.Prefix) (client netip.Addr, chain string) {
	peer := peerIP(r)
	chain = peer.String()
	client = peer
	if !contains(trusted, peer) {
		return client, chain
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break // nothing to the left of a malformed address can be relied on
		}
		client = addr.Unmap().WithZone("")
		chain = client.String() + ", " + chain
		if !contains(trusted, client) {
			break
		}
	}
	return client, chain
}

func peerIP(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
