package header

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Client returns the address of the client, and the chain to send upstream as X-Forwarded-For. unreadable is the peer, if
// it is trusted and its X-Forwarded-For is malformed in the part that matters.
//
// Only a trusted peer is believed when it says who its client is. The chain is read from the right: the first address
// that is not a trusted proxy's is the client, and everything to its left is whatever the client wrote. That part is cut
// off, because Flowise believes the leftmost address (TRUST_PROXY, on since 3.0.8) and counts its rate limits by it.
func Client(r *http.Request, trusted []netip.Prefix) (client netip.Addr, chain string, unreadable netip.Addr) {
	peer := peerIP(r)
	client, chain = peer, peer.String()
	if !contains(trusted, peer) {
		return client, chain, unreadable
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.Trim(hops[i], " \t")
		if hop == "" {
			continue // RFC 9110, section 5.6.1.2: empty elements of a list do not count
		}
		addr, ok := forwardedAddr(hop)
		if !ok {
			return client, chain, peer // nothing to the left of a malformed address can be relied on
		}
		client = addr
		chain = client.String() + ", " + chain
		if !contains(trusted, client) {
			break
		}
	}
	return client, chain, unreadable
}

// forwardedAddr parses an element of X-Forwarded-For. The header has no standard: some proxies add the client's port
// (Azure's gateways), or use the syntax of Forwarded, with brackets around IPv6 addresses and quotes (RFC 7239, section
// 6).
func forwardedAddr(s string) (netip.Addr, bool) {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
			s += ":0" // brackets without a port
		}
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(s)
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone(""), err == nil
}

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// IsRequestID reports whether s is a valid request ID, or a part of one that is long enough to identify it.
func IsRequestID(s string) bool { return requestIDPattern.MatchString(s) }

// RequestID returns a request's ID: the one that a trusted peer sent, or else a new one.
func RequestID(r *http.Request, trusted []netip.Prefix) string {
	if len(trusted) > 0 && contains(trusted, peerIP(r)) {
		if id := r.Header.Get("X-Request-Id"); IsRequestID(id) {
			return id
		}
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

func peerIP(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}
