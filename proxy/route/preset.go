package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Preset is what is known of one flow runner. It is data: nothing else asks which runner the upstream is.
type Preset struct {
	// Name is what the preset is chosen by.
	Name string
	// Runner is the runner's name as people write it.
	Runner string
	// Routes are the routes that clients of chatflows need. Everything else stays closed.
	Routes []*Route
	// Expose are the groups that are exposed unless a setting says otherwise.
	Expose []string
	// Upstream is where the runner listens unless a setting says otherwise: this machine, the usual port.
	Upstream string
	// IDs describes the form of a chatflow ID in words.
	IDs string
	// CredentialHeader is the header in which the runner takes a credential, in the canonical form of package
	// textproto: Authorization, or one that holds a token alone. Clients cannot set it.
	CredentialHeader string
	// UpstreamKey is what the runner itself may want from clients of a chatflow, in words.
	UpstreamKey string
	// KeyErrors are texts in the beginning of a response by which the runner says that it wants that key, where its status
	// does not say so. No client can have them sent back: they hold quotation marks that JSON would escape.
	KeyErrors []string
	// OtherForbidden is what else the runner may mean by 403, in words.
	OtherForbidden string
	// Headers and HeaderPrefixes are header names, and beginnings of such names, that clients may not set because the
	// runner acts on them. They are in canonical form.
	Headers        []string
	HeaderPrefixes []string
	// Widget says that web pages call the runner by Flowise's chat widget, which shows errors to visitors.
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

// DropsHeader reports whether clients may not set a header before this runner. name is in canonical form.
func (p *Preset) DropsHeader(name string) bool {
	return name == p.CredentialHeader || slices.Contains(p.Headers, name) ||
		slices.ContainsFunc(p.HeaderPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// Credential is what stands in the credential header for a token.
func (p *Preset) Credential(token string) string {
	if p.CredentialHeader == "Authorization" {
		return "Bearer " + token
	}
	return token
}

// ValidateExpose returns which of the groups no route belongs to, or nil.
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
