package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// presetOf returns the preset that is chosen, whether the command that runs has a flag for it or not. One
// that there is not counts as the default; set says that it is an error.
func presetOf(ctx *kong.Context, flag *kong.Flag, file *settingsFile) *route.Preset {
	name := os.Getenv(variable("preset"))
	if v, ok := file.values["preset"]; ok && name == "" {
		name = v.text
	}
	if flag != nil {
		name = sourceOf(ctx, flag, file).value
	}
	if p, err := route.PresetNamed(name); err == nil {
		return p
	}
	return route.Presets()[0]
}

// defaultOf returns the value of a setting that was not given.
func defaultOf(p *route.Preset, s source) string {
	switch s.name {
	case "expose":
		return strings.Join(p.Expose, ",")
	case "upstream":
		return p.Upstream
	}
	return s.value
}

// fitsPreset says why a setting that was given makes no sense before the preset's runner, or nil.
func fitsPreset(p *route.Preset, setting string) error {
	if setting == "discovery" && !p.HasDiscovery() {
		return fmt.Errorf("%s has no route that clients ask before they use their key; leave this out with the preset %s", p.Runner, p.Name)
	}
	return nil
}
