package token

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

// sessionCookie is the cookie that may hold a browser token, if the key allows that. Because of the prefix, a browser
// accepts it only over HTTPS or on loopback, and sends it only to this host, for all of its paths.
const sessionCookie = "__Host-flowlatch"

// NewCookie returns the cookie that holds a token for maxAge seconds. A negative maxAge removes the cookie.
func NewCookie(text string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: text, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// cookieToken returns the value of a request's session cookie, or "" if there is none. fault says why the cookie does not
// count.
//
// A browser also adds cookies to requests that pages of other sites make it send, possibly against the will of its user. So
// a cookie counts only if the browser says that a page of the gate's own origin sent the request. SameSite=Strict alone is
// not enough, because pages of another port or subdomain belong to the same site.
func cookieToken(r *http.Request, publicURL *url.URL) (text, fault string) {
	text, n := sessionOf(r.Header["Cookie"])
	switch {
	case n == 0:
		return "", ""
	case n > 1:
		return "", "there are two cookies of the name " + sessionCookie
	}
	return text, NotFromOwnPage(r, publicURL)
}

// NotFromOwnPage returns why a request does not count as sent by a page of the gate's own origin, which is that of
// publicURL, or "" if it does. Scripts in pages cannot set any of these headers.
func NotFromOwnPage(r *http.Request, publicURL *url.URL) string {
	page, site, dest := r.Header["Origin"], r.Header["Sec-Fetch-Site"], r.Header["Sec-Fetch-Dest"]
	switch {
	case publicURL == nil:
		return "cookies need --public-url"
	case len(site) != 1 || site[0] != "same-origin":
		return "the browser does not say that a page of the same origin sent the request (Sec-Fetch-Site); it does so over HTTPS and on loopback alone"
	case len(dest) != 1 || dest[0] != "empty" && dest[0] != "image":
		return "the request is neither a script's nor an image's (Sec-Fetch-Dest)"
	case len(page) == 0 && isReading(r.Method):
		return ""
	case len(page) != 1 || page[0] != origin.Of(publicURL):
		return "the page's origin (Origin) is not that of --public-url"
	}
	return ""
}

// sessionOf returns the value of the session cookie, and how many cookies have its name. There may be several headers:
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
