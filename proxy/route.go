package proxy

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Route is one kind of request that a runner answers. Routes are data: a preset is a list of them,
// and a settings file may add more.
type Route struct {
	// Group is what the route is exposed with.
	Group string
	// Name stands for the route in logs and metrics. Empty means Path.
	Name string
	// Methods are the methods accepted; "*" stands for [anyMethod].
	Methods []string
	// Path is the path, with {chatflow} and other names in braces for a segment each. It is also
	// the form in which the request is forwarded.
	Path string
	// Spellings are other exact forms of Path that official clients send.
	Spellings []string
	// ID is what a chatflow ID looks like; it must match whole. Nil means what IsID says.
	ID *regexp.Regexp
	// IsID reports whether a chatflow ID is well-formed. Nil means [UUID].
	IsID func(string) bool
	// Query are the parameters passed on, nil for none. Those not listed are refused if there are
	// any listed, and dropped otherwise.
	Query []Param
	// AnyQuery passes every parameter on.
	AnyQuery bool
	// Body is the name of the member of the JSON body that holds the chatflow ID, for runners that
	// read it from there. If the path holds one too, both must agree.
	Body string
	// Refuse are members that the JSON body must not have.
	Refuse []string
	// Nested are members of the JSON body in which the runner reads the body's other members as well. A
	// body that has one is refused wherever a chatflow denies any member.
	Nested []string
	// Access is what is asked of a caller.
	Access Access
	// Discovery marks a route that official clients ask before they use their key.
	Discovery bool
	// Websocket lets the request switch to the websocket protocol.
	Websocket bool
}

// Param is a query parameter that a route passes on.
type Param struct {
	Name    string
	Pattern *regexp.Regexp // of the decoded value, which must match whole
	// Chatflow says that the value is the chatflow ID. It is accepted unencoded only, and required.
	Chatflow bool
}

// UUID is the form of Flowise's chatflow IDs: lower case only, since some databases that Flowise
// runs on look them up without regard to case and its own rate limiter does not.
var UUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

var anyMethod = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (r *Route) methods() []string {
	if slices.Contains(r.Methods, "*") {
		return anyMethod
	}
	return r.Methods
}

// label stands for the route in logs and metrics.
func (r *Route) label() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Path
}

// isID reports whether s has the form of the route's chatflow IDs.
func (r *Route) isID(s string) bool {
	switch {
	case r.ID != nil:
		return r.ID.MatchString(s)
	case r.IsID != nil:
		return r.IsID(s)
	}
	return isUUID(s)
}

// isUUID is what [UUID] matches, in a tenth of the time.
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

// variable returns the name in a template's segment such as {chatflow}.
func variable(segment string) (string, bool) {
	if len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}' {
		return segment[1 : len(segment)-1], true
	}
	return "", false
}

var variableName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

// Validate says what is wrong with a route, or nil.
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
	for _, path := range append([]string{r.Path}, r.Spellings...) {
		if err := validateTemplate(path); err != nil {
			return err
		}
	}
	return nil
}

func validateTemplate(path string) error {
	literal := path
	var names []string
	for _, s := range strings.Split(path, "/") {
		name, ok := variable(s)
		if !ok {
			continue
		}
		if !variableName.MatchString(name) || slices.Contains(names, name) {
			return fmt.Errorf("route %q: %q is not a name of letters and digits used once", path, s)
		}
		names = append(names, name)
		literal = strings.Replace(literal, s, "x", 1)
	}
	if _, _, err := canonical(literal); err != nil || strings.Contains(literal, "?") {
		return fmt.Errorf("route %q: a path begins with / and has letters, digits, - . _ ~ and {names} between single slashes", path)
	}
	return nil
}
