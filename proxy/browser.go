package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/origin"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// PageToken is a browser token as a request presents it in place of a key. The zero value is none.
type PageToken struct {
	// Token is nil if there is none, or none that the gate has signed.
	Token *token.Token
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

// pageToken reads the browser token of a request: in place of its key or, without an Authorization header, in a cookie.
func (p *Proxy) pageToken(bearer route.Bearer, in *http.Request, now time.Time) (t PageToken) {
	if !p.opts.Store.Snapshot().AnyBrowser() {
		return t
	}
	text := bearer.Token
	switch {
	case len(in.Header["Authorization"]) == 0:
		if text, t.CookieFault = p.cookieToken(in); text == "" || t.CookieFault != "" {
			return t
		}
		t.Cookie = true
	case !bearer.Present:
		// Browsers send the password of a site that asks for one (HTTP Basic) with every request.
		if _, n := sessionOf(in.Header["Cookie"]); n > 0 {
			t.CookieFault = "a credential that is no key decides in its place (Authorization)"
		}
		return t
	}
	if !t.Cookie && !token.Is(text) {
		return t
	}
	t.Token, t.Err = p.opts.Tokens.Verify(text, now)
	h := in.Header
	switch origins, site := h["Origin"], h["Sec-Fetch-Site"]; len(origins) {
	case 0:
		t.SameSite = isReading(in.Method) && len(site) == 1 && (site[0] == "same-origin" || site[0] == "same-site")
	case 1:
		t.Origin = origins[0]
	default:
		t.Origin = "null" // which no token has
	}
	return t
}

func isReading(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// match finds the key that a token was minted with. It takes the same time for one that is gone.
func (t *PageToken) match(s *keystore.Snapshot, now time.Time) keystore.Match {
	k := s.BrowserKey(t.Token.Key)
	if k == nil || t.Cookie && !k.Browser.Cookie {
		return keystore.Match{}
	}
	m := keystore.Match{Key: k, Validity: k.Validity(now)}
	if m.Validity == keystore.Valid && t.Err != nil {
		m.Validity = keystore.Expired
	}
	return m
}

// browserGroups are the groups of routes that browser tokens are for, of those that are exposed and that their key may use.
var browserGroups = []string{"predict", "widget"}

// exceeds returns what of a question goes beyond a token that was minted with key k, or nil. What the key may not do, the
// token may not do either: that is decided as for every request with the key.
func (t *PageToken) exceeds(q *Question, k *keystore.Key) *problem.Error {
	if k.Browser == nil {
		return &tokenWithoutKey
	}
	fromPage := t.SameSite || slices.Contains(t.Token.Origins, t.Origin) && slices.Contains(k.Browser.Origins, t.Origin)
	switch {
	case t.Token.Life() > k.Browser.MaxTTL:
		return &tokenTooLong
	case !fromPage:
		return &tokenNotForPage
	case q.OwnKey:
		return nil // the gate itself is asked
	case !slices.Contains(browserGroups, q.Group):
		return &tokenNotForGroup
	case q.InBody:
		return nil // and decided once more
	case q.Access == route.AnyKey || !slices.Contains(t.Token.Chatflows, q.Chatflow):
		return &tokenNotForChatflow
	}
	return nil
}

// Refusals of browser tokens.
var (
	tokenWithoutKey     = *invalidKey("the key of the browser token is not there any more, or has no `browser:`, or for a token in a cookie no `cookie: true` there")
	tokenTooLong        = notForKey("browser token is valid for longer than the key's `max_ttl`")
	tokenNotForPage     = notForKey("browser token is not for the page that sent it, or the browser does not say which page that is; see `origins`")
	tokenNotForGroup    = notForKey("browser token is not for routes of this group")
	tokenNotForChatflow = notForKey("browser token is not for the chatflow")

	invalidTokens = map[error]*problem.Error{
		token.ErrMalformed: invalidKey(token.ErrMalformed.Error()),
		token.ErrSignature: invalidKey(token.ErrSignature.Error()),
		token.ErrExpired:   invalidKey(token.ErrExpired.Error()),
		token.ErrNotYet:    invalidKey(token.ErrNotYet.Error()),
	}
)

// refusal returns why a token that was presented is not valid, if its key has this validity; nil if none was presented.
func (t *PageToken) refusal(v keystore.Validity) *problem.Error {
	switch {
	case t.Err != nil && (t.Token != nil || v == keystore.Unknown):
		return invalidTokens[t.Err]
	case t.Token != nil && v == keystore.Unknown:
		return &tokenWithoutKey
	}
	return nil
}

// browserBody is what the key says of the body of a request with a browser token. The zero value of others allows everything.
func (a *authorization) browserBody() keystore.BodyPolicy {
	if a.question.Page.Token == nil || !a.Opens {
		return keystore.BodyPolicy{}
	}
	b := a.Key.Browser
	if a.Route.Upload && slices.Contains(b.Allow, "uploads") {
		return keystore.BodyPolicy{}
	}
	return b.Body
}

// countMessage counts an allowed request with a token that may send only so many messages, if it is one.
func (x *exchange) countMessage() {
	t := x.question.Page.Token
	if t == nil || t.Messages == 0 || !x.Allowed || !x.Opens || !x.Route.Message || x.proxy.messages.Take(t) {
		return
	}
	x.deny(&problem.Error{
		Code: problem.QuotaExceeded, Detail: "this chat has had as many messages as it may; reload the page to go on",
		Reason: "browser token has no messages left", RetryAfter: max(t.Expires.Sub(x.now), time.Second), Final: true,
	})
}

// tokenResult says what became of a browser token, for the metric; empty where there was none of a key that is known.
func (x *exchange) tokenResult() string {
	switch {
	case x.browser != "" || x.question.Page.Token == nil || x.Key == nil:
		return x.browser
	case x.Allowed && x.Opens:
		return "allowed"
	}
	return "refused"
}

// CheckBrowser adds warnings to a key file's about browser tokens that no request could use.
func CheckBrowser(s *keystore.Snapshot, o *Options) {
	if !s.AnyBrowser() {
		return
	}
	exposed := slices.ContainsFunc(o.Routes, func(r *route.Route) bool {
		return slices.Contains(browserGroups, r.Group) && slices.Contains(o.Expose, r.Group)
	})
	warn := func(k *keystore.Key, text string) {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s: key %q: browser: %s", k.Place(), k.ID, text))
	}
	for _, k := range s.Keys() {
		switch {
		case k.Browser == nil:
		case !exposed:
			warn(k, "no route is exposed that browser tokens are for, which are those of the groups predict and widget")
		case k.Browser.Cookie && o.PublicURL == nil:
			warn(k, "no cookie is accepted without --public-url, the origin of the pages that send it")
		case k.Browser.Cookie && !slices.Contains(k.Browser.Origins, origin.Of(o.PublicURL)):
			warn(k, "no cookie is accepted unless origins has that of --public-url, "+origin.Of(o.PublicURL))
		}
	}
}
