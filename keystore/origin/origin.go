// Package origin knows the origins of web pages as browsers serialize them, and the default port of a scheme.
package origin

import (
	"cmp"
	"net/netip"
	"net/url"
	"strings"
)

// usual has the default ports of schemes.
var usual = map[string]string{"http": "80", "https": "443"}

// PortOf returns the port of a URL, or the default port of its scheme if the URL has none.
func PortOf(u *url.URL) string { return cmp.Or(u.Port(), usual[u.Scheme]) }

// Of returns the origin of a URL (RFC 6454, section 6.2; WHATWG URL, section 3.5): its scheme, its host in lower case,
// and its port unless that is the default one.
func Of(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") { // IPv6, in its shortest form
		if addr, err := netip.ParseAddr(host); err == nil {
			host = addr.String()
		}
		host = "[" + host + "]"
	}
	if port := strings.TrimLeft(u.Port(), "0"); port != "" && port != usual[u.Scheme] {
		host += ":" + port
	}
	return u.Scheme + "://" + host
}

// Is reports whether s is the origin of a web page as a browser sends it, with any scheme. Names in other alphabets are
// sent in their ASCII form (xn--).
func Is(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && u.Host != "" && s == Of(u) && strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789-._:[]") == ""
}
