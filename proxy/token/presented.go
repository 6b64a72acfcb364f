package token

import (
	"net/http"
	"net/url"
	"time"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// Presented is a browser token as a request presents it in place of a key. The zero value is none.
type Presented struct {
	// Token is nil if there is none, or none that the gate has signed.
	Token *Token
	// Err is why it is not valid, also where Token is nil; nil if it is.
	Err error
	// Origin is that of the page, as its browser says; empty if it does not.
	Origin string
	// SameSite says that the request reads, and that a page of the same site sent it, as its browser says. Browsers name no
	// Origin then.
	SameSite bool
	// Cookie says that the token came in a cookie.
	Cookie bool
	// CookieFault is why a cookie of the request does not count, for the operator; empty if there is none.
	CookieFault string
}

// FromRequest returns the browser token of a request: in place of its key or, without an Authorization header, in a cookie
// that a page of the gate's own origin sent, that of publicURL. Without a publicURL no cookie counts.
func (s *Secrets) FromRequest(r *http.Request, bearer route.Bearer, publicURL *url.URL, now time.Time) (t Presented) {
	text := bearer.Token
	switch {
	case len(r.Header["Authorization"]) == 0:
		if text, t.CookieFault = cookieToken(r, publicURL); text == "" || t.CookieFault != "" {
			return t
		}
		t.Cookie = true
	case !bearer.Present:
		// Browsers send the password of a site that asks for one (HTTP Basic) with every request.
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
		t.Origin = "null" // which no token has
	}
	return t
}

func isReading(method string) bool { return method == http.MethodGet || method == http.MethodHead }
