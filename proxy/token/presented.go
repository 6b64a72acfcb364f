package token

import (
	"net/http"
	"net/url"
	"time"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// Presented is the browser token that a request presents in place of a key. The zero value means none.
type Presented struct {
	// Token is nil if there is none, or if the gate did not sign it.
	Token *Token
	// Err is why the token is not valid, or nil. It may be set when Token is nil.
	Err error
	// Origin is the origin of the page, as the browser says; empty if it does not say.
	Origin string
	// SameSite says that, according to the browser, a page of the same site sent the request, which only reads. Browsers
	// send no Origin then.
	SameSite bool
	// Cookie says that the token came in a cookie.
	Cookie bool
	// CookieFault says, for the operator, why a cookie of the request does not count. It is empty if there is no such
	// cookie.
	CookieFault string
}

// FromRequest returns the browser token of a request: from its Authorization header or, without that header, from a
// cookie if a page of the gate's own origin sent it, which is that of publicURL. If publicURL is nil, no cookie counts.
func (s *Secrets) FromRequest(r *http.Request, bearer route.Bearer, publicURL *url.URL, now time.Time) (t Presented) {
	text := bearer.Token
	switch {
	case len(r.Header["Authorization"]) == 0:
		if text, t.CookieFault = cookieToken(r, publicURL); text == "" || t.CookieFault != "" {
			return t
		}
		t.Cookie = true
	case !bearer.Present:
		// If a site has asked for a password (HTTP Basic), browsers send it with every request.
		if _, n := sessionOf(r.Header["Cookie"]); n > 0 {
			t.CookieFault = "a credential that is no key decides in its place (Authorization)"
		}
		return t
	}
	if !t.Cookie && !Is(text) {
		return t
	}
	t.Token, t.Err = s.Verify(text, now)
	h := r.Header
	switch origins, site := h["Origin"], h["Sec-Fetch-Site"]; len(origins) {
	case 0:
		t.SameSite = isReading(r.Method) && len(site) == 1 && (site[0] == "same-origin" || site[0] == "same-site")
	case 1:
		t.Origin = origins[0]
	default:
		t.Origin = "null" // no token has this origin
	}
	return t
}

func isReading(method string) bool { return method == http.MethodGet || method == http.MethodHead }
