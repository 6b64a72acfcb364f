package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/gorilla/mux"
)

// table finds the route of a method and path.
type table struct {
	// routers hold the paths, each those of one number of segments: there are few of each.
	routers map[int]*mux.Router
	paths   map[string][]*spelling // by name of the mux route
}

// spelling is one form of path that a route accepts.
type spelling struct {
	route    *Route
	template string
	chatflow int     // the segment that is the chatflow ID, or -1
	pieces   []piece // of the path to send upstream
}

// piece is a part of a path that is built: a literal, and after it a segment of the path that was
// understood, or none if segment is -1.
type piece struct {
	literal string
	segment int
}

// newTable returns a table of the routes, or an error if two of them claim the same path and method. Of two
// paths that both match, the one that has a literal where the other has a name comes first.
func newTable(routes []*Route) (*table, error) {
	t := &table{routers: map[int]*mux.Router{}, paths: map[string][]*spelling{}}
	var templates []string
	for _, r := range routes {
		for _, path := range append([]string{r.Path}, r.Spellings...) {
			name := anonymous(path)
			for _, other := range t.paths[name] {
				for _, m := range r.methods() {
					if slices.Contains(other.route.methods(), m) {
						return nil, fmt.Errorf("routes %q and %q both claim %s %s", other.route.label(), r.label(), m, path)
					}
				}
			}
			if t.paths[name] == nil {
				templates = append(templates, path)
			}
			s, err := newSpelling(r, path)
			if err != nil {
				return nil, err
			}
			t.paths[name] = append(t.paths[name], s)
		}
	}
	slices.SortStableFunc(templates, func(a, b string) int { return strings.Compare(kinds(a), kinds(b)) })
	for _, path := range templates {
		t.router(path).NewRoute().Name(anonymous(path)).MatcherFunc(matcher(path))
	}
	return t, nil
}

// kinds says of each segment of a template whether it is a literal (0) or a name (1).
func kinds(path string) string {
	var b strings.Builder
	for s := range strings.SplitSeq(path, "/") {
		kind := byte('0')
		if _, named := variable(s); named {
			kind = '1'
		}
		b.WriteByte(kind)
	}
	return b.String()
}

// router returns the router for paths with as many segments as path.
func (t *table) router(path string) *mux.Router {
	n := strings.Count(path, "/")
	if t.routers[n] == nil {
		// Without these two, mux answers an unclean path with a redirect that turns POST into GET,
		// and matches a path in which an encoded slash was decoded.
		t.routers[n] = mux.NewRouter().SkipClean(true).UseEncodedPath()
	}
	return t.routers[n]
}

// matcher matches paths by their segments, of which there are as many as in the template. mux's own matching
// is by regular expressions, which take longer than all the rest of a decision.
func matcher(template string) mux.MatcherFunc {
	literals := strings.Split(template, "/")
	return func(r *http.Request, _ *mux.RouteMatch) bool {
		rest := r.URL.Path
		for _, want := range literals {
			segment, after, _ := strings.Cut(rest, "/")
			if _, named := variable(want); named && segment == "" || !named && segment != want {
				return false
			}
			rest = after
		}
		return true
	}
}

func newSpelling(r *Route, template string) (*spelling, error) {
	s := &spelling{route: r, template: template, chatflow: -1}
	at := map[string]int{}
	for i, text := range strings.Split(template, "/") {
		if name, ok := variable(text); ok {
			at[name] = i
		}
	}
	if i, ok := at["chatflow"]; ok {
		s.chatflow = i
	}
	literal := ""
	for i, text := range strings.Split(r.Path, "/") {
		if i > 0 {
			literal += "/"
		}
		name, ok := variable(text)
		if !ok {
			literal += text
			continue
		}
		segment, ok := at[name]
		if !ok {
			return nil, fmt.Errorf("route %q: its spelling %q has no {%s}", r.Path, template, name)
		}
		s.pieces = append(s.pieces, piece{literal, segment})
		literal = ""
	}
	if literal != "" {
		s.pieces = append(s.pieces, piece{literal, -1})
	}
	return s, nil
}

// ValidateRoutes says which of the routes claim the same path and method, or nil.
func ValidateRoutes(routes []*Route) error {
	_, err := newTable(routes)
	return err
}

// anonymous returns a template without its names: two templates that differ only by them match the
// same paths.
func anonymous(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if _, ok := variable(s); ok {
			segments[i] = "{}"
		}
	}
	return strings.Join(segments, "/")
}

// lookup is what mux is asked with. It is used again: making one takes longer than the answer.
type lookup struct {
	request http.Request
	url     url.URL
	match   mux.RouteMatch
}

var lookups = sync.Pool{New: func() any {
	l := &lookup{}
	l.request.URL = &l.url
	return l
}}

// find returns the spelling of a route for a method and a canonical path. With no route for the method, it
// returns the methods there are; with none at all, nothing.
func (t *table) find(method, path string) (s *spelling, methods []string) {
	router := t.routers[strings.Count(path, "/")]
	if router == nil {
		return nil, nil
	}
	l := lookups.Get().(*lookup)
	defer lookups.Put(l)
	l.match = mux.RouteMatch{}
	l.request.Method, l.url.Path = method, path
	if !router.Match(&l.request, &l.match) {
		return nil, nil
	}
	for _, s := range t.paths[l.match.Route.GetName()] {
		if slices.Contains(s.route.methods(), method) {
			return s, nil
		}
		methods = append(methods, s.route.methods()...)
	}
	return nil, methods
}

// build returns the path to send upstream for a path that has this spelling.
func (s *spelling) build(path string) string {
	if len(s.pieces) == 1 && s.pieces[0].segment < 0 {
		return s.route.Path
	}
	var b strings.Builder
	b.Grow(len(path) + len(s.route.Path))
	for _, p := range s.pieces {
		b.WriteString(p.literal)
		if p.segment >= 0 {
			b.WriteString(segmentOf(path, p.segment))
		}
	}
	return b.String()
}

// segmentOf returns the segment of a path that comes after n slashes.
func segmentOf(path string, n int) string {
	for range n {
		path = path[strings.IndexByte(path, '/')+1:]
	}
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return path
}
