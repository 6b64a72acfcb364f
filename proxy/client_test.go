package proxy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy"
)

func TestForwardedFor(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, tt := range []struct {
		name    string
		trusted []netip.Prefix
		sent    []string
		want    string
	}{
		{"no trusted proxies", nil, []string{"6.6.6.6"}, "127.0.0.1"},
		{"trusted peer", trusted, []string{"6.6.6.6"}, "6.6.6.6, 127.0.0.1"},
		{"what the client wrote", trusted, []string{"9.9.9.9, 6.6.6.6, 10.1.1.1"}, "6.6.6.6, 10.1.1.1, 127.0.0.1"},
		{"two headers", trusted, []string{"9.9.9.9", "6.6.6.6"}, "6.6.6.6, 127.0.0.1"},
		{"malformed", trusted, []string{"9.9.9.9, evil, 10.1.1.1"}, "10.1.1.1, 127.0.0.1"},
		{"malformed at the right", trusted, []string{"6.6.6.6, evil"}, "127.0.0.1"},
		{"empty item", trusted, []string{"9.9.9.9,, 6.6.6.6"}, "6.6.6.6, 127.0.0.1"},
		{"empty item at the right", trusted, []string{"6.6.6.6,"}, "6.6.6.6, 127.0.0.1"},
		{"empty items", trusted, []string{",, 9.9.9.9 ,6.6.6.6\t,,10.1.1.1, ,"}, "6.6.6.6, 10.1.1.1, 127.0.0.1"},
		{"only empty items", trusted, []string{" , ,"}, "127.0.0.1"},
		{"port", trusted, []string{"203.0.113.7:5555"}, "203.0.113.7, 127.0.0.1"},
		{"port of a proxy", trusted, []string{"9.9.9.9, 203.0.113.7:5555, 10.1.1.1:443"}, "203.0.113.7, 10.1.1.1, 127.0.0.1"},
		{"port too large", trusted, []string{"6.6.6.6:65536"}, "127.0.0.1"},
		{"port without a number", trusted, []string{"6.6.6.6:"}, "127.0.0.1"},
		{"port that is a name", trusted, []string{"6.6.6.6:http"}, "127.0.0.1"},
		{"quotes", trusted, []string{`"6.6.6.6"`}, "6.6.6.6, 127.0.0.1"},
		{"quotes and port", trusted, []string{`"6.6.6.6:80"`}, "6.6.6.6, 127.0.0.1"},
		{"one quote", trusted, []string{`"6.6.6.6`}, "127.0.0.1"},
		{"comma in quotes", trusted, []string{`"6.6.6.6, x"`}, "127.0.0.1"},
		{"IPv4 in brackets", trusted, []string{"[6.6.6.6]"}, "127.0.0.1"},
		{"as in Forwarded", trusted, []string{"for=6.6.6.6"}, "127.0.0.1"},
		{"obfuscated", trusted, []string{"_hidden"}, "127.0.0.1"},
		{"unknown", trusted, []string{"unknown"}, "127.0.0.1"},
		{"several headers", trusted, []string{"9.9.9.9, 6.6.6.6", "10.1.1.1", "10.2.2.2"}, "6.6.6.6, 10.1.1.1, 10.2.2.2, 127.0.0.1"},
		{"all trusted", trusted, []string{"10.3.3.3, 10.1.1.1"}, "10.3.3.3, 10.1.1.1, 127.0.0.1"},
		{"IPv6", trusted, []string{"2001:DB8::1"}, "2001:db8::1, 127.0.0.1"},
		{"IPv6 in brackets", trusted, []string{"[2001:db8::1]"}, "2001:db8::1, 127.0.0.1"},
		{"IPv6 with a port", trusted, []string{"[2001:db8::1]:443"}, "2001:db8::1, 127.0.0.1"},
		{"IPv6 with a port, in quotes", trusted, []string{`"[2001:db8::1]:443"`}, "2001:db8::1, 127.0.0.1"},
		{"IPv6 in brackets with a zone", trusted, []string{"[fe80::1%eth0]:443"}, "fe80::1, 127.0.0.1"},
		{"IPv6 with half a bracket", trusted, []string{"[2001:db8::1"}, "127.0.0.1"},
		{"IPv6 with eight groups and a port", trusted, []string{"2001:db8:0:0:0:0:0:1:443"}, "127.0.0.1"},
		{"IPv4 in IPv6 with a port", trusted, []string{"[::ffff:6.6.6.6]:80"}, "6.6.6.6, 127.0.0.1"},
		{"IPv6 with a zone", trusted, []string{"fe80::1%eth0"}, "fe80::1, 127.0.0.1"},
		{"IPv4 in IPv6", trusted, []string{"9.9.9.9, 6.6.6.6, ::ffff:10.1.1.1"}, "6.6.6.6, 10.1.1.1, 127.0.0.1"},
		{"IPv6 proxies", append(trusted, netip.MustParsePrefix("2001:db8:1::/48")), []string{"9.9.9.9, 2001:db8:2::1, 2001:db8:1::1"}, "2001:db8:2::1, 2001:db8:1::1, 127.0.0.1"},
		{"octal", trusted, []string{"010.1.1.1"}, "127.0.0.1"},
		{"decimal", trusted, []string{"167837953"}, "127.0.0.1"},
		{"not trusted, several headers", nil, []string{"6.6.6.6", "7.7.7.7"}, "127.0.0.1"},
		{"another peer trusted", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, []string{"6.6.6.6, 10.1.1.1"}, "127.0.0.1"},
		{"none sent", trusted, nil, "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, func(o *proxy.Options) { o.TrustedProxies = tt.trusted })
			headers := []string{"X-Request-Id: from-the-proxy-1"}
			for _, s := range tt.sent {
				headers = append(headers, "X-Forwarded-For: "+s)
			}
			res := g.request(t, "GET", "/api/v1/ping", "", headers...)
			r, _, _ := g.upstream.last()
			if got := r.Header["X-Forwarded-For"]; len(got) != 1 || got[0] != tt.want {
				t.Errorf("X-Forwarded-For at the upstream = %q, want %q", got, tt.want)
			}
			if kept := res.header.Get("X-Request-Id") == "from-the-proxy-1"; kept != contains(tt.trusted, "127.0.0.1") {
				t.Errorf("request ID of the peer kept = %t, want %t", kept, !kept)
			}
		})
	}
}

func contains(networks []netip.Prefix, addr string) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(addr)) })
}

// TestUnreadableForwardedFor has a trusted proxy that sends a malformed header. However many requests there are, there is
// one warning, which names the proxy and nothing that a client wrote.
func TestUnreadableForwardedFor(t *testing.T) {
	t.Parallel()
	const warning = "the X-Forwarded-For of a trusted proxy cannot be read"
	for _, tt := range []struct {
		name     string
		trusted  []netip.Prefix
		sent     string
		warnings int
	}{
		{"words", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "written-by-somebody", 1},
		{"unreadable behind a trusted proxy", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "written-by-somebody, 127.1.1.1", 1},
		{"unreadable behind the client", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "written-by-somebody, 6.6.6.6:80", 0},
		{"no such header", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "", 0},
		{"not trusted", nil, "written-by-somebody", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, func(o *proxy.Options) { o.TrustedProxies = tt.trusted })
			for range 3 {
				g.request(t, "GET", "/api/v1/ping", "", "X-Forwarded-For: "+tt.sent)
			}
			log := g.log.String()
			if n := strings.Count(log, warning); n != tt.warnings {
				t.Errorf("%d warnings, want %d; log:\n%s", n, tt.warnings, log)
			}
			if tt.warnings > 0 && !strings.Contains(log, `"peer":"127.0.0.1"`) || strings.Contains(log, "written") {
				t.Errorf("log = %s, want the peer and not the header in it", log)
			}
		})
	}
}
