package proxy

import (
	"net/http"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// ownPrefixPath begins the paths that are the gate's own. No preset has any there, and the upstream never gets a request for
// one.
const ownPrefixPath = "/-/"

// ownPath is one of the paths of the gate's own.
type ownPath struct {
	route route.Route // as which it is counted and logged
	query bool        // the URL may have a query, which means nothing
	serve func(*Proxy, *exchange, *http.Request)
}

// ownPaths are those paths. Each has a file.
var ownPaths = map[string]*ownPath{
	ownKeyRoute.Path:     {route: ownKeyRoute, serve: (*Proxy).serveOwnKey},
	ownTokenRoute.Path:   {route: ownTokenRoute, serve: (*Proxy).serveOwnToken},
	ownSessionRoute.Path: {route: ownSessionRoute, serve: (*Proxy).serveOwnSession},
	// Site builders add a version to the URLs of scripts, such as WordPress ?ver=6.8.1.
	widgetRoute.Path: {route: widgetRoute, query: true, serve: (*Proxy).serveWidget},
}

// serveOwn serves a request for a path of the gate's own, and reports whether it is for one.
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

// decideOwn decides whether a client that asks the gate itself has a valid key, whatever it opens. If not, it refuses the
// request.
func (p *Proxy) decideOwn(x *exchange) (allowed bool) {
	x.question.Access, x.question.OwnKey = route.AnyKey, true
	x.question.Bearer, x.question.Client = x.Bearer, x.client
	if x.decide(p, x.started); !x.Allowed {
		x.refuse(p.limitFailures(x))
	}
	return x.Allowed
}
