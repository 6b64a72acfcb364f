// Package route parses requests: it says what a request line and headers mean to this gate, or that they mean nothing. It
// holds the grammar of paths, queries and credentials, and what is known of each kind of upstream, as data.
//
// It is pure: it does no I/O and knows no keys. A request is parsed once, and what is sent upstream is built from the
// parsed parts, so what was authorized and what is forwarded cannot differ.
package route

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Route is one kind of request that an upstream serves. Routes are data: a preset is a list of them, and the settings
// file may add more.
type Route struct {
	// Group is the name by which the route is exposed.
	Group string
	// Name stands for the route in logs and metrics. Empty means Path.
	Name string
	// Methods are the methods accepted; "*" stands for GET, POST, PUT, PATCH and DELETE. HEAD is accepted wherever GET is.
	Methods []string
	// Path is a template in which {chatflow}, or another name in braces, stands for one segment. The path sent upstream
	// is built from it.
	Path string
	// Alternatives are other templates that official clients use for Path.
	Alternatives []string
	// ID matches a chatflow ID as a whole. Nil means that IsID decides.
	ID *regexp.Regexp
	// IsID reports whether a chatflow ID is well-formed. Nil means that it must be a lower-case UUID.
	IsID func(string) bool
	// Query are the parameters that are passed on. If there are any, all others are refused; if there are none, the whole
	// query is dropped.
	Query []Param
	// AnyQuery passes every parameter on.
	AnyQuery bool
	// Body is the member of the JSON body that holds the chatflow ID, for upstreams that read it from there. If the
	// path holds one too, both must agree.
	Body string
	// Refuse are members that the JSON body must not have.
	Refuse []string
	// Creates is the member of the JSON response that holds the ID of what was created. Later requests name it by that ID
	// alone, on routes with Created. Body says which member of the response holds the chatflow ID.
	Creates string
	// Created is the variable of Path that holds such an ID, a lower-case UUID. If the gate saw it created, the request
	// counts as one for the chatflow it belongs to, and needs a key for that.
	Created string
	// Nested are members of the JSON body in which the upstream looks for the body's other members as well. A body
	// that has one is refused if the chatflow denies any member.
	Nested []string
	// Abort is how the upstream is told to stop a request on this route. Nil means that it cannot be told.
	Abort *Abort
	// AbortsOther says that a request stops another one. It must be let through even when the limit of requests at once is
	// reached.
	AbortsOther bool
	// Access is what a client must show. The zero value is ChatflowKey.
	Access Access
	// Discovery marks a route that official clients call before they use their key.
	Discovery bool
	// UpstreamKey is what the upstream itself wants from clients of this route, in words. Empty means the preset's.
	UpstreamKey string
	// UpstreamNeeds is what a 401 of the upstream means on this route, in words, where no credential would help.
	UpstreamNeeds string
	// Message says that a request is a message to the chatflow. A browser token may be limited to a number of messages.
	Message bool
	// Upload says that the body is an upload. Browser tokens may send it only if they may send uploads.
	Upload bool
	// Websocket allows the request to upgrade to the websocket protocol.
	Websocket bool
}

// Access says what a route requires of a client.
type Access uint8

// What a route can require.
const (
	ChatflowKey Access = iota // a key for the chatflow, unless the chatflow is public
	AnyKey                    // any valid key: the request names no chatflow
	ListedOnly                // nothing, if the chatflow is listed; otherwise as ChatflowKey
	Public                    // nothing
)

// Param is a query parameter that a route passes on.
type Param struct {
	Name    string
	Pattern *regexp.Regexp // matches the whole decoded value
	// Chatflow says that the value is the chatflow ID: required, and accepted only without percent-encoding.
	Chatflow bool
}

var anyMethod = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// AnyMethod reports whether the route accepts every method.
func (r *Route) AnyMethod() bool { return slices.Contains(r.Methods, "*") }

// AllMethods returns the methods accepted, with "*" and HEAD spelled out. The slice must not be changed.
func (r *Route) AllMethods() []string {
	switch {
	case r.AnyMethod():
		return anyMethod
	case slices.Contains(r.Methods, http.MethodGet) && !slices.Contains(r.Methods, http.MethodHead):
		return append(slices.Clip(r.Methods), http.MethodHead)
	}
	return r.Methods
}

// Accepts reports whether the route accepts a method. HEAD is GET without the response's body (RFC 9110, section 9.3.2).
func (r *Route) Accepts(method string) bool {
	if r.AnyMethod() {
		return slices.Contains(anyMethod, method)
	}
	return slices.Contains(r.Methods, method) || method == http.MethodHead && slices.Contains(r.Methods, http.MethodGet)
}

// Label stands for the route in logs and metrics.
func (r *Route) Label() string { return cmp.Or(r.Name, r.Path) }

// AcceptsID reports whether s is a well-formed chatflow ID on this route.
func (r *Route) AcceptsID(s string) bool {
	switch {
	case r.ID != nil:
		return r.ID.MatchString(s)
	case r.IsID != nil:
		return r.IsID(s)
	}
	return isUUID(s)
}

// isUUID reports whether s is a UUID in lower case. Upper case is not accepted because some databases that Flowise runs
// on ignore case when they look up IDs, while Flowise's own rate limiter does not. A regular expression would take ten
// times as long.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// variable returns the name in a segment of a template, such as {chatflow}.
func variable(segment string) (name string, ok bool) {
	name, ok = strings.CutPrefix(segment, "{")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(name, "}")
}

var variableName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

// build returns the path to send upstream: Path with its variables replaced.
func (r *Route) build(variables Variables) string {
	path := make([]byte, 0, 128)
	for s := range strings.SplitSeq(r.Path, "/") {
		if name, ok := variable(s); ok {
			s = variables.get(name)
		}
		path = append(append(path, s...), '/')
	}
	return string(path[:len(path)-1])
}

// Validate returns what is wrong with a route, or nil.
func (r *Route) Validate() error {
	if r.Group == "" {
		return fmt.Errorf("route %q: it needs a group to be exposed with", r.Path)
	}
	if len(r.Methods) == 0 {
		return fmt.Errorf("route %q: no methods; list some, or \"*\"", r.Path)
	}
	for _, m := range r.Methods {
		if m != "*" && !slices.Contains(anyMethod, m) {
			return fmt.Errorf("route %q: method %q: want one of %s or \"*\"", r.Path, m, strings.Join(anyMethod, ", "))
		}
	}
	names, err := validateTemplate(r.Path)
	if err != nil {
		return err
	}
	for _, path := range r.Alternatives {
		has, err := validateTemplate(path)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !slices.Contains(has, name) {
				return fmt.Errorf("route %q: its alternative %q has no {%s}", r.Path, path, name)
			}
		}
	}
	return nil
}

// validateTemplate returns the names of a template's variables, or what is wrong with it.
func validateTemplate(path string) (names []string, err error) {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		name, ok := variable(s)
		if !ok {
			continue
		}
		if !variableName.MatchString(name) || slices.Contains(names, name) {
			return nil, fmt.Errorf("route %q: %q is not a name of letters and digits used once", path, s)
		}
		names, segments[i] = append(names, name), "x"
	}
	literal := strings.Join(segments, "/")
	if _, _, err := canonical(literal); err != nil || strings.Contains(literal, "?") {
		return nil, fmt.Errorf("route %q: a path begins with / and has letters, digits, - . _ ~ and {names} between single slashes", path)
	}
	return names, nil
}
