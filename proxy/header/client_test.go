package header

import (
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// addressPattern matches an element of X-Forwarded-For in each form that is accepted. The first or second group is the
// address.
var addressPattern = regexp.MustCompile(`^"?(?:\[([0-9A-Fa-f:.]+)(?:%.*)?\](?::[0-9]{1,5})?|([0-9A-Fa-f:.]+?)(?:%.*?)?(?::[0-9]{1,5})?)"?$`)

// FuzzForwardedFor: whatever a trusted proxy sends, the addresses that are passed on are in it in this order. Seen from
// the right, they end with the first that is not a trusted proxy's, or before one that is malformed. The peer's address
// comes last.
func FuzzForwardedFor(f *testing.F) {
	for _, s := range []string{
		"", "6.6.6.6", "9.9.9.9, 6.6.6.6, 10.1.1.1", "203.0.113.7:5555", "[2001:db8::1]:443", `"[2001:db8::1]:443"`, "fe80::1%eth0",
		"[fe80::1%eth0]:1", "::ffff:10.1.1.1", "6.6.6.6,, ,", "evil, 10.1.1.1", "for=6.6.6.6", "unknown", "010.1.1.1", "[6.6.6.6]", "1.2.3.4:", "[]:1",
		"\"6.6.6.6", "6.6.6.6\x00", "::1::", "[::1", "2001:db8::1:443", "10.0.0.1\t,\t10.0.0.2", "%", "\"\"", "[::%,]:1", "[::%]]",
	} {
		f.Add(s)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{RemoteAddr: "10.9.9.9:4711", Header: http.Header{"X-Forwarded-For": {header}}}
		client, chain, unreadable := Client(r, trusted)
		got := strings.Split(chain, ", ")
		if got[len(got)-1] != "10.9.9.9" || got[0] != client.String() {
			t.Fatalf("Client(%q) = %v, chain %q, want the client first and the peer last", header, client, chain)
		}
		hops := strings.Split(header, ",")
		for i := len(got) - 2; i >= 0; i-- {
			hop := ""
			for hop == "" && len(hops) > 0 {
				hop, hops = strings.Trim(hops[len(hops)-1], " \t"), hops[:len(hops)-1]
			}
			if !writtenThere(hop, got[i]) {
				t.Fatalf("Client(%q): chain %q has %s, want what is in %q", header, chain, got[i], hop)
			}
			if addr := netip.MustParseAddr(got[i]); i > 0 && !contains(trusted, addr) {
				t.Fatalf("Client(%q): chain %q goes beyond %s, which is not trusted", header, chain, addr)
			}
		}
		if !unreadable.IsValid() && contains(trusted, client) && strings.Trim(strings.Join(hops, ""), " \t") != "" {
			t.Fatalf("Client(%q) stopped at the trusted %s and says that all could be read", header, client)
		}
	})
}

// writtenThere reports whether an element contains an address: its text or, for IPv4 in IPv6, the last part of it.
func writtenThere(hop, want string) bool {
	m := addressPattern.FindStringSubmatch(hop)
	if m == nil {
		return false
	}
	for _, text := range []string{m[1], m[2], strings.Trim(hop, `"`)} { // the last one is for fe80::1:80, where 80 is no port
		text, _, _ = strings.Cut(text, "%")
		if addr, err := netip.ParseAddr(text); err == nil && addr.Unmap().String() == want {
			return true
		}
	}
	return false
}
