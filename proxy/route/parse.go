package route

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// Request is what a request line and headers mean: what the decision is about, and what is sent upstream.
type Request struct {
	// Route is nil if none was found.
	Route  *Route
	Method string
	// Preflight says that it is a CORS preflight, which carries no key and names the method that it asks about.
	Preflight bool
	// Websocket says that it asks to upgrade to the websocket protocol.
	Websocket bool
	// Chatflow is the chatflow's ID. It is empty if the request names none, or names it in its body.
	Chatflow string
	// Created is the ID of something whose chatflow the request does not name, or empty.
	Created string
	// Path and Query are built from the route and its parameters.
	Path, Query string
	Bearer      Bearer
}

// Parse parses the request line and headers of r. If it refuses r, it returns what it had understood so far, for the
// access log.
func (t *Table) Parse(r *http.Request) (*Request, *problem.Error) {
	q := &Request{Method: r.Method}
	target := t.originForm(r)
	path, query, err := canonical(target)
	if err != nil {
		return q, err
	}
	rest, below := CutPrefix(path, t.Prefix)
	if !below {
		return q, outsidePrefix(path)
	}
	path = rest
	asked := r // r.URL was parsed from the same target, and decoding does not change a canonical path
	if target != r.RequestURI || t.Prefix != "" {
		asked = &http.Request{Method: r.Method, URL: &url.URL{Path: path}}
	}
	if isPreflight(r) {
		q.Preflight, asked = true, withMethod(asked, r.Header.Get("Access-Control-Request-Method"))
	}
	var variables Variables
	if q.Route, variables = t.Find(asked); q.Route == nil {
		if methods := t.Methods(asked); methods != nil {
			return q, &problem.Error{Code: problem.MethodNotAllowed, Detail: "this path does not accept this method", Allow: strings.Join(methods, ", ")}
		}
		return q, &problem.Error{Code: problem.NotExposed, Detail: nothingHere, Reason: "no exposed route; path begins " + beginning(path)}
	}
	q.Path, q.Created = q.Route.build(variables), variables.get(q.Route.Created)
	if q.Route.Created != "" && !isUUID(q.Created) { // a database may accept other spellings of the same ID
		return q, problem.New(problem.BadRequest, "the ID in the path must be a lower-case UUID")
	}
	if id := variables.get("chatflow"); id != "" { // a segment is never empty
		if !q.Route.AcceptsID(id) {
			return q, problem.New(problem.BadChatflowID, "the chatflow ID in the path is malformed")
		}
		q.Chatflow = id
	}
	if err := q.parseQuery(query); err != nil {
		return q, err
	}
	if q.Bearer, err = ParseBearer(r.Header); err != nil {
		return q, err
	}
	q.Websocket = r.ProtoAtLeast(1, 1) && IsWebsocket(r.Header) // HTTP/1.0 has no upgrades (RFC 9110, section 7.8)
	return q, q.checkBody(r)
}

// checkBody refuses a request that announces a body where none is allowed, or announces it in a way that two servers
// could read differently.
func (q *Request) checkBody(r *http.Request) *problem.Error {
	switch {
	case !contentLengthAgrees(r):
		return problem.New(problem.BadRequest, "the Content-Length is not that of the body")
	case q.Websocket && (!q.Route.Websocket || q.Preflight || r.ContentLength != 0): // a body would run into the websocket's frames
		return problem.New(problem.BadRequest, "this request cannot switch protocols")
	case r.ContentLength != 0 && (q.Preflight || q.Route.Access == Public || q.Route.Access == ListedOnly): // these need no key
		return problem.New(problem.BadRequest, "this request takes no body")
	}
	return nil
}

// contentLengthAgrees reports whether the body's length agrees with the Content-Length header, as far as that is known
// before the body arrives. In HTTP/2, net/http takes a Content-Length that is not a number for an empty body, uses the
// first of several, and ignores that of a request without a body (RFC 9113, section 8.1.1).
func contentLengthAgrees(r *http.Request) bool {
	values, ok := r.Header["Content-Length"]
	return r.ProtoMajor < 2 || !ok || len(values) == 1 && values[0] == strconv.FormatInt(r.ContentLength, 10)
}

// isPreflight reports whether r is a CORS preflight (Fetch standard, section 3.2.2).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// IsWebsocket reports whether headers ask for, or agree to, an upgrade to the websocket protocol (RFC 6455, section 4.1).
func IsWebsocket(h http.Header) bool {
	return strings.EqualFold(h.Get("Upgrade"), "websocket") && len(h.Values("Upgrade")) == 1
}

// beginning returns the first segments of a path that was not found, for the access log. The rest may be a secret, as in
// Flowise's /api/v1/verify/apikey/KEY, and so may any segment that is long enough for one.
func beginning(path string) string {
	segments := strings.SplitN(path, "/", 5)
	for i := range segments {
		if len(segments[i]) >= keystore.MinSecretLen {
			segments[i] = "…"
		}
	}
	return strings.Join(segments[:min(len(segments), 4)], "/")
}
