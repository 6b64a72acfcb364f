package proxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flowlatch/flowlatch/keystore"
)

// call is a request as it was understood: all that is decided upon, and all that is sent upstream.
type call struct {
	route     *Route
	method    string
	preflight bool      // a CORS preflight: carries no key and names the method it asks about
	chatflow  string    // ID, or empty
	path      string    // to send upstream, built from the route
	query     string    // to send upstream, built from the parameters
	body      *heldBody // to send upstream if it was read to decide; otherwise nil
	bearer    bearer
	question  Question  // what was asked about it
	now       time.Time // when
	loaded    time.Time // when the snapshot that was asked came into force
}

// parseCall understands a request as far as its head goes. A chatflow ID in the body is read later, for
// callers who have shown a key.
// On a refusal it returns as much of the call as it understood, for the log line.
func (t *table) parseCall(method, target string, h http.Header) (*call, *Error) {
	c := &call{method: method}
	path, query, err := canonical(target)
	if err != nil {
		return c, err
	}
	lookup := method
	if isPreflight(method, h) {
		c.preflight, lookup = true, h.Get("Access-Control-Request-Method")
	}
	spelled, methods := t.find(lookup, path)
	switch {
	case spelled != nil:
	case methods != nil:
		slices.Sort(methods)
		return c, &Error{Code: CodeMethod, Detail: "this path does not take this method", Allow: strings.Join(slices.Compact(methods), ", ")}
	default:
		return c, &Error{Code: CodeNotExposed, Detail: "there is nothing here, or it is not exposed", Reason: "no exposed route; path begins " + beginning(path)}
	}
	c.route = spelled.route
	c.path = spelled.build(path)
	if spelled.chatflow >= 0 {
		id := segmentOf(path, spelled.chatflow)
		if !c.route.isID(id) {
			return c, badChatflowID("the chatflow ID in the path is malformed")
		}
		c.chatflow = id
	}
	if err := c.parseQuery(query); err != nil {
		return c, err
	}
	c.bearer, err = parseBearer(h)
	return c, err
}

// isPreflight reports whether a request is a CORS preflight (Fetch standard, section 3.2.2).
func isPreflight(method string, h http.Header) bool {
	return method == http.MethodOptions && h.Get("Origin") != "" && h.Get("Access-Control-Request-Method") != ""
}

// beginning returns the first segments of a path that was not found, for a log line. The rest may
// be a secret, as in Flowise's /api/v1/verify/apikey/KEY, and so may any long segment.
func beginning(path string) string {
	segments := strings.SplitN(path, "/", 5)
	for i := range segments {
		if len(segments[i]) >= keystore.MinSecretLen {
			segments[i] = "…"
		}
	}
	return strings.Join(segments[:min(len(segments), 4)], "/")
}

// parseQuery takes the parameters that the route passes on.
func (c *call) parseQuery(raw string) *Error {
	switch {
	case c.route.AnyQuery:
		return c.passQuery(raw)
	case c.route.Query == nil:
		return nil // the runner reads none on this route: they are dropped
	}
	values := map[string]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		// Names are compared as they were sent: another spelling of a name, or the same twice, and
		// the runner may read another value than this gate.
		name, value, _ := strings.Cut(pair, "=")
		i := slices.IndexFunc(c.route.Query, func(p Param) bool { return p.Name == name })
		if i < 0 {
			return badRequest("the query has a parameter that this route does not take, or one that is spelled in another way")
		}
		if _, twice := values[name]; twice {
			return badRequest("the query has a parameter twice")
		}
		if c.route.Query[i].Chatflow {
			if !c.route.isID(value) {
				return badChatflowID("the chatflow ID in the query is malformed")
			}
			values[name], c.chatflow = value, value
			continue
		}
		decoded, err := url.QueryUnescape(value)
		if err != nil || !utf8.ValidString(decoded) || !c.route.Query[i].Pattern.MatchString(decoded) {
			return badRequest("the query parameter " + c.route.Query[i].Name + " is malformed")
		}
		values[name] = decoded
	}
	var built []string
	for _, p := range c.route.Query {
		v, ok := values[p.Name]
		switch {
		case ok:
			built = append(built, p.Name+"="+strings.ReplaceAll(url.QueryEscape(v), "+", "%20"))
		case p.Chatflow && !c.preflight:
			return badChatflowID("the query does not name a chatflow")
		}
	}
	c.query = strings.Join(built, "&")
	return nil
}

// passQuery takes every parameter, in order, each encoded anew.
func (c *call) passQuery(raw string) *Error {
	var built []string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, assigned := strings.Cut(pair, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !utf8.ValidString(n) || !utf8.ValidString(v) || strings.Contains(pair, ";") {
			return badRequest("the query is malformed")
		}
		pair = url.QueryEscape(n)
		if assigned {
			pair += "=" + url.QueryEscape(v)
		}
		built = append(built, strings.ReplaceAll(pair, "+", "%20"))
	}
	c.query = strings.Join(built, "&")
	return nil
}

// maxIDBody is the largest body that is read to find a chatflow ID, in bytes.
const maxIDBody = 64 << 10

// idBodyTime is how long such a body may take: it is small, and whoever sent its head was asked nothing
// yet, or holds a key that may be revoked meanwhile.
const idBodyTime = 10 * time.Second

// chatflowInBody reads the chatflow ID from the body of a request whose route has it there.
func (c *call) chatflowInBody() *Error {
	id, bad := memberOf(c.body.content(), c.route.Body, c.route.Refuse...)
	switch {
	case bad != nil:
		return bad
	case !c.route.isID(id):
		return badChatflowID("the chatflow ID in the body is malformed")
	case c.chatflow != "" && c.chatflow != id:
		return badChatflowID("the path and the body name different chatflows")
	}
	c.chatflow = id
	return nil
}

// memberOf returns the string that the member name of a JSON object holds, and refuses members that could
// be mistaken for it: Go's decoder takes a member whose name differs by case, JavaScript does not; of
// two members with one name, who knows.
//
// Members named in refuse are refused as well.
func memberOf(raw []byte, name string, refuse ...string) (string, *Error) {
	id, found := "", false
	err := eachMember(raw, func(k string, value []byte) *Error {
		switch {
		case k == name && !found:
			found = true
			if json.Unmarshal(value, &id) != nil || len(value) == 0 || value[0] != '"' {
				return badChatflowID("the chatflow ID in the body is not a string")
			}
		case k == name:
			return badChatflowID("the body names the chatflow twice")
		case slices.ContainsFunc(refuse, func(r string) bool { return looksLike(k, r) }):
			return badRequest("the body has a member that callers may not set")
		case looksLike(k, name), k == "__proto__":
			return badChatflowID("the body has a member whose name could be mistaken for the chatflow's")
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", badChatflowID("the body does not name a chatflow")
	}
	return id, nil
}

func badChatflowID(detail string) *Error { return &Error{Code: CodeBadChatflowID, Detail: detail} }

func badRequest(detail string) *Error { return &Error{Code: CodeBadRequest, Detail: detail} }
