package proxy

import (
	"net/http"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// pageToken returns the browser token of a request, if there is any key that can have minted one.
func (p *Proxy) pageToken(bearer route.Bearer, in *http.Request, now time.Time) (t token.Presented) {
	if p.opts.Store.Snapshot().AnyBrowser() {
		t = p.opts.Tokens.FromRequest(in, bearer, p.opts.PublicURL, now)
	}
	return t
}

// matchToken finds the key that the browser token was minted with. It takes as long if that key is gone.
func (q *Question) matchToken(s *keystore.Snapshot, now time.Time) keystore.Match {
	t := &q.Page
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

// browserGroups are the route groups that browser tokens are for, as far as these are exposed and the token's key may use
// them.
var browserGroups = []string{"predict", "widget"}

// exceedsToken returns a refusal if the question goes beyond the browser token, which was minted with key k. What the key
// itself may not do is decided as for every request with the key.
func (q *Question) exceedsToken(k *keystore.Key) *problem.Error {
	if k.Browser == nil {
		return &tokenWithoutKey
	}
	t := &q.Page
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
)

// invalidToken returns why the browser token is not valid, given the validity of its key; nil if none was presented.
func (q *Question) invalidToken(v keystore.Validity) *problem.Error {
	switch t := &q.Page; {
	case t.Err != nil && (t.Token != nil || v == keystore.Unknown):
		return invalidKey(t.Err.Error())
	case t.Token != nil && v == keystore.Unknown:
		return &tokenWithoutKey
	}
	return nil
}

// browserBody returns what the key allows in the body of a request with a browser token. For other requests, it is the
// zero value, which allows everything.
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

// countMessage counts an allowed message, if its browser token may send only a limited number.
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

// tokenResult says what became of a browser token, for the metric. It is empty if there was none, or its key is not
// known.
func (x *exchange) tokenResult() string {
	switch {
	case x.tokenOutcome != "" || x.question.Page.Token == nil || x.Key == nil:
		return x.tokenOutcome
	case x.Allowed && x.Opens:
		return "allowed"
	}
	return "refused"
}
