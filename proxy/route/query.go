package route

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// parseQuery builds the query that is sent upstream from the parameters that the route passes on.
func (q *Request) parseQuery(raw string) *problem.Error {
	switch {
	case q.Route.AnyQuery:
		return q.passQuery(raw)
	case q.Route.Query == nil:
		return nil // on this route, the upstream reads no query
	}
	values := map[string]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		// Names are compared as they were sent. If a name is encoded, or occurs twice, the upstream may read another
		// value than this gate does.
		name, value, _ := strings.Cut(pair, "=")
		i := slices.IndexFunc(q.Route.Query, func(p Param) bool { return p.Name == name })
		if i < 0 {
			return problem.New(problem.BadRequest, "the query has a parameter that this route does not take, or one that is encoded in another way")
		}
		if _, twice := values[name]; twice {
			return problem.New(problem.BadRequest, "the query has a parameter twice")
		}
		p := q.Route.Query[i]
		if p.Chatflow {
			if !q.Route.AcceptsID(value) {
				return problem.New(problem.BadChatflowID, "the chatflow ID in the query is malformed")
			}
			values[name], q.Chatflow = value, value
			continue
		}
		decoded, err := url.QueryUnescape(value)
		if err != nil || !utf8.ValidString(decoded) || !p.Pattern.MatchString(decoded) {
			return problem.New(problem.BadRequest, "the query parameter "+p.Name+" is malformed")
		}
		values[name] = decoded
	}
	var pairs []string
	for _, p := range q.Route.Query {
		v, ok := values[p.Name]
		switch {
		case ok:
			pairs = append(pairs, p.Name+"="+escape(v))
		case p.Chatflow && !q.Preflight:
			return problem.New(problem.BadChatflowID, "the query does not name a chatflow")
		}
	}
	q.Query = strings.Join(pairs, "&")
	return nil
}

// passQuery passes on every parameter, in order, each encoded anew.
func (q *Request) passQuery(raw string) *problem.Error {
	var pairs []string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, assigned := strings.Cut(pair, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !utf8.ValidString(n) || !utf8.ValidString(v) || strings.Contains(pair, ";") {
			return problem.New(problem.BadRequest, "the query is malformed")
		}
		n = escape(n)
		if assigned {
			n += "=" + escape(v)
		}
		pairs = append(pairs, n)
	}
	q.Query = strings.Join(pairs, "&")
	return nil
}

// escape encodes a name or value. A space becomes %20, which every decoder understands, unlike +.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
