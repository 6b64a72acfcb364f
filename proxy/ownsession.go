package proxy

import (
	"net/http"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// ownSessionRoute is where a page exchanges its browser token for a cookie. Browsers also send the cookie with requests
// that no script makes, such as those for images.
var ownSessionRoute = route.Route{Name: "session", Path: ownPrefixPath + "session", Methods: []string{http.MethodPost, http.MethodDelete}}

// serveOwnSession sets the cookie that holds the browser token of the request, or removes it.
func (p *Proxy) serveOwnSession(x *exchange, r *http.Request) {
	if why := token.NotFromOwnPage(r, p.opts.PublicURL); why != "" {
		x.refuseOwn(&problem.Error{
			Code: problem.KeyNotForChatflow, Detail: "a session is for pages of this origin, over HTTPS: send the request from one of them", Reason: why,
		})
		return
	}
	if r.Method == http.MethodDelete {
		x.Allowed = true
		x.setCookie(token.NewCookie("", -1))
		return
	}
	x.question.Page = p.pageToken(x.Bearer, r, p.at(x.started))
	if x.question.Page.Cookie { // the token must come as a key does, or a cookie could be used to renew itself
		x.question.Page = token.Presented{}
	}
	if !p.decideOwn(x) {
		return
	}
	t := x.question.Page.Token
	switch {
	case t == nil:
		x.refuseOwn(problem.New(problem.KeyNotForChatflow, "a session is made of a browser token, not of an API key"))
		return
	case !x.Key.Browser.Cookie:
		x.refuseOwn(&problem.Error{Code: problem.KeyNotForChatflow, Detail: "this API key does not allow sessions", Reason: "the key's `browser:` has no `cookie: true`"})
		return
	}
	x.tokenOutcome = "session"
	x.setCookie(token.NewCookie(x.Bearer.Token, int(problem.Seconds(t.Expires.Sub(x.now)))))
}

// setCookie responds with a cookie and nothing else.
func (x *exchange) setCookie(c *http.Cookie) {
	x.body.End()
	h := x.response.Header()
	h["Set-Cookie"], h["Cache-Control"] = []string{c.String()}, []string{"no-store"}
	x.response.WriteHeader(http.StatusNoContent)
}
