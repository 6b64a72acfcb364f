package proxy

import (
	"net/http"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

// sessionCookie is the cookie that may hold a browser token, where the key says so. A browser takes one of this name only over
// HTTPS or on loopback, for this host alone and for all of its paths.
const sessionCookie = "__Host-flowlatch"

// cookieToken returns what the cookie of a request holds; nothing if there is none. fault says why it does not count.
//
// A browser adds cookies to requests that other sites' pages make it send, which need not be what its user wants. So a cookie
// counts only if the browser says that a page of the gate's own origin sent the request. SameSite=Strict alone does not
// suffice: the pages of another port or subdomain are of the same site.
func (p *Proxy) cookieToken(in *http.Request) (text, fault string) {
	text, n := sessionOf(in.Header["Cookie"])
	switch {
	case n == 0:
		return "", ""
	case n > 1:
		return "", "there are two cookies of the name " + sessionCookie
	}
	return text, p.notFromOwnPage(in)
}

// notFromOwnPage returns why a request does not count as one that a page of the gate's own origin sent; nothing if it does.
// Scripts of pages can set none of these headers.
func (p *Proxy) notFromOwnPage(in *http.Request) string {
	page, site, dest := in.Header["Origin"], in.Header["Sec-Fetch-Site"], in.Header["Sec-Fetch-Dest"]
	switch {
	case p.opts.PublicURL == nil:
		return "cookies need --public-url"
	case len(site) != 1 || site[0] != "same-origin":
		return "the browser does not say that a page of the same origin sent the request (Sec-Fetch-Site); it does so over HTTPS and on loopback alone"
	case len(dest) != 1 || dest[0] != "empty" && dest[0] != "image":
		return "the request is neither a script's nor an image's (Sec-Fetch-Dest)"
	case len(page) == 0 && isReading(in.Method):
		return ""
	case len(page) != 1 || page[0] != origin.Of(p.opts.PublicURL):
		return "the page's origin (Origin) is not that of --public-url"
	}
	return ""
}

// sessionOf returns the value of the session cookie, and how many there are of its name. There may be several headers:
// HTTP/2 splits them (RFC 9113, section 8.2.3).
func sessionOf(headers []string) (value string, n int) {
	for _, header := range headers {
		for cookie := range strings.SplitSeq(header, ";") {
			if is, v, _ := strings.Cut(cookie, "="); strings.TrimSpace(is) == sessionCookie {
				value = strings.TrimSpace(v)
				n++
			}
		}
	}
	return value, n
}

// keepPrivate marks a response to a request with a cookie as one visitor's. Caches that do not store responses to
// requests with Authorization store those to requests with cookies. A page of another origin must not read it in any case.
func keepPrivate(h http.Header) {
	delete(h, "Access-Control-Allow-Credentials")
	if !slices.ContainsFunc(h["Cache-Control"], func(v string) bool { return strings.Contains(v, "no-store") }) {
		h["Cache-Control"] = []string{"private"}
	}
}
