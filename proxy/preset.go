package proxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
)

// Preset is what the gate knows of one runner. It is data: nothing else in the gate asks which runner
// it stands before.
type Preset struct {
	// Name is what the preset is chosen by.
	Name string
	// Runner is the runner's name as people write it.
	Runner string
	// Routes are the routes that callers of chatflows need. What is left out stays closed.
	Routes []*Route
	// Expose are the groups that are open unless a setting says otherwise.
	Expose []string
	// Upstream is where the runner listens unless a setting says otherwise: on this machine, at its usual port.
	Upstream string
	// IDs says in words what a chatflow's ID looks like.
	IDs string
	// CredentialHeader is the header in which the runner takes a credential, in the canonical form of
	// package textproto: Authorization, or one that holds a token alone. Callers cannot set it.
	CredentialHeader string
	// Headers and HeaderPrefixes are names, and beginnings of names, that callers may not set because the
	// runner obeys them. They are in the same form.
	Headers        []string
	HeaderPrefixes []string
	// FlowiseKeys says that a key file may name Flowise's own file of keys.
	FlowiseKeys bool
}

// Presets returns all presets; the first is the default.
func Presets() []*Preset { return []*Preset{Flowise(), Langflow(), N8n()} }

// PresetNamed returns the preset with a name, or an error that says which there are.
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

// HasDiscovery reports whether there is a route that official clients ask before they use their key.
func (p *Preset) HasDiscovery() bool {
	return slices.ContainsFunc(p.Routes, func(r *Route) bool { return r.Discovery })
}

// CheckKeyFile says what in a key file makes no sense before this runner, or nil.
func (p *Preset) CheckKeyFile(s *keystore.Snapshot) error {
	if path := s.FlowiseKeys(); path != "" && !p.FlowiseKeys {
		return fmt.Errorf("%s: flowise_api_keys names Flowise's file of keys (%s), and the preset is %s; take the line out, or set the preset to flowise", s.File, path, p.Name)
	}
	return nil
}

// manages reports whether a header is one that callers may not set before this runner. name is in the
// canonical form of package textproto.
func (p *Preset) manages(name string) bool {
	if name == p.CredentialHeader || slices.Contains(p.Headers, name) {
		return true
	}
	for _, prefix := range p.HeaderPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// credential is what stands in the credential header for a token.
func (p *Preset) credential(token string) string {
	if p.CredentialHeader == authorizationHeader {
		return "Bearer " + token
	}
	return token
}

const authorizationHeader = "Authorization"
