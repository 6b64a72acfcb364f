package proxy

import (
	"net/http"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// ownPrefixPath begins the gate's own paths. No preset has a route there, and requests for these paths never reach the
// upstream.
const ownPrefixPath = "/-/"

// ownPath is one of the gate's own paths.
type ownPath struct {
	route route.Route // by which the request is counted and logged
	query bool        // the URL may have a query, which is ignored
	serve func(*Proxy, *exchange, *http.Request)
}

// ownPaths are the gate's own paths. Each has its own file.
var ownPaths = map[string]*ownPath{
	ownKeyRoute.Path:     {route: ownKeyRoute, serve: (*Proxy).serveOwnKey},
	ownTokenRoute.Path:   {route: ownTokenRoute, serve: (*Proxy).serveOwnToken},
	ownSessionRoute.Path: {route: ownSessionRoute, serve: (*Proxy).serveOwnSession},
	// Site builders add a version to the URLs of scripts, such as ?ver=6.8.1 in WordPress.
	widgetRoute.Path: {route: widgetRoute, query: true, serve: (*Proxy).serveWidget},
}

// serveOwn serves a request for one of the gate's own paths, and reports whether it was for one.
func (p *Proxy) serveOwn(x *exchange, r *http.Request) bool {
	path, below := route.CutPrefix(r.RequestURI, p.opts.PathPrefix)
	if !below || !strings.HasPrefix(path, ownPrefixPath) {
		return false
	}
	path, _, query := strings.Cut(path, "?")
	own := ownPaths[path]
	if own == nil || query && !own.query {
		return false
	}
	if !own.route.Accepts(r.Method) {
		x.refuse(&problem.Error{Code: problem.MethodNotAllowed, Detail: "this path does not accept this method", Allow: strings.Join(own.route.AllMethods(), ", ")})
		return true
	}
	bearer, refusal := route.ParseBearer(r.Header)
	if refusal != nil {
		x.refuse(refusal)
		return true
	}
	x.Request = &route.Request{Route: &own.route, Method: r.Method, Bearer: bearer}
	own.serve(p, x, r)
	return true
}

// refuseOwn refuses a request to the gate itself, whatever was decided about its key.
func (x *exchange) refuseOwn(err *problem.Error) {
	x.deny(err)
	x.refuse(err)
}

// decideOwn reports whether a client that asks the gate itself has a valid key, whatever that key opens. If not, it
// refuses the request.
func (p *Proxy) decideOwn(x *exchange) (allowed bool) {
	x.question.Access, x.question.OwnKey = route.AnyKey, true
	x.question.Bearer, x.question.Client = x.Bearer, x.client
	if x.decide(p, x.started); !x.Allowed {
		x.refuse(p.refusalOf(x))
	}
	return x.Allowed
}
