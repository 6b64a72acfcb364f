package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Preset is what is known of one kind of upstream. It is data: nothing else asks which kind the upstream is.
type Preset struct {
	// Name is the name by which the preset is chosen.
	Name string
	// Runner is the product's name as people write it.
	Runner string
	// Routes are the routes that clients of chatflows need. Everything else stays closed.
	Routes []*Route
	// Expose are the groups that are exposed unless a setting says otherwise.
	Expose []string
	// Upstream is where the upstream listens unless a setting says otherwise: its usual port on this machine.
	Upstream string
	// IDs describes the form of a chatflow ID in words.
	IDs string
	// CredentialHeader is the header in which the upstream expects a credential, in the canonical form of package
	// textproto: Authorization, or one whose value is the token alone. Clients cannot set it.
	CredentialHeader string
	// UpstreamKey is what the upstream itself may want from clients of a chatflow, in words.
	UpstreamKey string
	// KeyErrors are texts at the beginning of a response that mean that the upstream wants that key, where the status
	// does not say so. No client can make the upstream send one back, because they contain quotation marks, which JSON
	// would escape.
	KeyErrors []string
	// OtherForbidden is what else the upstream may mean by 403, in words.
	OtherForbidden string
	// Headers and HeaderPrefixes are names of headers, and prefixes of such names, that clients may not set because the
	// upstream acts on them. They are in canonical form.
	Headers        []string
	HeaderPrefixes []string
	// Widget says that web pages use Flowise's chat widget with this upstream, which shows errors to visitors.
	Widget bool
	// FlowiseKeys says that a key file may name Flowise's own file of keys.
	FlowiseKeys bool
}

// Presets returns all presets; the first is the default.
func Presets() []*Preset { return []*Preset{Flowise(), Langflow(), N8n()} }

// PresetNamed returns the preset with a name, or an error that lists those that exist.
func PresetNamed(name string) (*Preset, error) {
	var names []string
	for _, p := range Presets() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("%q: want %s", name, strings.Join(names, " or "))
}

// HasDiscovery reports whether any route is one that official clients call before they use their key.
func (p *Preset) HasDiscovery() bool {
	return slices.ContainsFunc(p.Routes, func(r *Route) bool { return r.Discovery })
}

// DropsHeader reports whether clients may not send this header to the upstream. name is in canonical form.
func (p *Preset) DropsHeader(name string) bool {
	return name == p.CredentialHeader || slices.Contains(p.Headers, name) ||
		slices.ContainsFunc(p.HeaderPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// Credential returns the value of the credential header for a token.
func (p *Preset) Credential(token string) string {
	if p.CredentialHeader == "Authorization" {
		return "Bearer " + token
	}
	return token
}

// ValidateExpose returns an error for each group that no route belongs to, or nil.
func ValidateExpose(groups []string, routes []*Route) error {
	if len(groups) == 0 {
		return errors.New("no route group is named, so nothing would be exposed")
	}
	var known []string
	for _, r := range routes {
		known = append(known, r.Group)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	var errs []error
	for _, g := range groups {
		if !slices.Contains(known, g) {
			errs = append(errs, fmt.Errorf("there is no route group %q; there are %s", g, strings.Join(known, ", ")))
		}
	}
	return errors.Join(errs...)
}
