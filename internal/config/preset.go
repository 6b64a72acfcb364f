package config

import (
	"fmt"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// presetOr returns the preset with a name, or the default: that there is none of this name is a fault of the setting.
func presetOr(name string) *route.Preset {
	if p, err := route.PresetNamed(name); err == nil {
		return p
	}
	return route.Presets()[0]
}

// presetDefault returns the value of a setting that was set nowhere.
func presetDefault(p *route.Preset, s Source) string {
	switch s.Name {
	case "expose":
		return strings.Join(p.Expose, ",")
	case "upstream":
		return p.Upstream
	}
	return s.Value
}

// fitsPreset says why a setting that was given makes no sense with the preset, or nil.
func fitsPreset(p *route.Preset, setting string) error {
	if setting == "discovery" && !p.HasDiscovery() {
		return fmt.Errorf("%s has no route that clients ask before they use their key; leave this out with the preset %s", p.Runner, p.Name)
	}
	return nil
}

// groups parses the names of route groups, which the preset or the settings file must have.
func (c *Config) groups(names []string) ([]string, error) {
	return names, route.ValidateExpose(names, c.Proxy.Routes)
}

// authorization parses the upstream's credential. The preset says what a credential in a file looks like.
func (c *Config) authorization(text string) (keystore.UpstreamAuthorization, error) {
	a, err := keystore.ParseUpstreamAuthorization(text)
	if a.Mode == keystore.UpstreamFile {
		_, err = proxy.ReadCredential(c.Proxy.Preset, a.Path)
	}
	return a, err
}
