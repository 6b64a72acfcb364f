// Package config reads the settings of the gate: default ← settings file ← environment ← flag. It finds every fault in
// one pass, each with the place where the value was set. It opens nothing and starts nothing: what to do with the
// settings is up to the commands.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// Config is what the settings say. A setting that the command has no flag for keeps its zero value.
type Config struct {
	Listen, Admin string            // addresses of the two listeners
	Proxy         proxy.Options     // without what the command adds: store, certificates, log, registry and version
	FileRoutes    []*route.Route    // routes that the settings file adds to those of the preset; Proxy.Routes has both
	Certificates  certificate.Files // the files for TLS
	Limits
	Keys        string        // path of the key file, or of a directory of key files
	KeysRequire []string      // names of files that the directory must have
	AdminToken  string        // path of the file with the admin token; empty if nobody may change keys on the admin listener
	UpstreamAPI string        // path of a file with an API key of Flowise, with which the console lists Flowise's chatflows; empty for none
	WaitForKeys time.Duration // how long to wait for a key file that is missing or invalid at the start
	// BrowserSecrets is the path of the file with the secrets that sign browser tokens; empty for a random secret.
	BrowserSecrets string
	Drain          time.Duration // how long open requests may go on after SIGTERM
	LogLevel       zerolog.Level // the lowest level that is logged
	LogConsole     bool          // the log is text for people, not JSON
	Sources        []Source      // where the settings come from, in the order of their declaration
}

// Resolve returns the settings of the command that was parsed, or everything that is wrong with them, joined. With an
// error, it also returns the settings that are valid.
func Resolve(ctx *kong.Context) (*Config, error) {
	c := &Config{}
	settings := c.settings()
	faults := unknownVariables(settings)
	from := newSources(ctx)
	file, err := readFile(from.source("config"), settings)
	if err != nil {
		faults = append(faults, err)
	}
	from.file = file.values
	preset, err := route.PresetNamed(from.source("preset").Value)
	if err != nil { // reported below, as a fault of the setting
		preset = route.Presets()[0]
	}
	from.preset = map[string]string{"expose": strings.Join(preset.Expose, ","), "upstream": preset.Upstream}
	c.FileRoutes, err = file.parseRoutes(preset)
	if err != nil {
		faults = append(faults, err)
	}
	c.Proxy.Preset, c.Proxy.Routes = preset, slices.Concat(preset.Routes, c.FileRoutes)
	for _, setting := range settings {
		if from.flags[setting.name] == nil {
			continue // the command does not take it
		}
		s := from.source(setting.name)
		c.Sources = append(c.Sources, setting.shown(s))
		if err := setting.set(s.Value); err != nil {
			for fault := range strings.SplitSeq(err.Error(), "\n") { // each of the joined errors gets the place
				faults = append(faults, fmt.Errorf("%s: %s", s.Place, fault))
			}
		}
	}
	conflict := func(name, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", c.place(name), fmt.Sprintf(format, args...)))
	}
	c.checkTLS(len(faults) == 0, conflict)
	c.checkLimits(conflict)
	if c.Given("discovery") && !preset.HasDiscovery() {
		conflict("discovery", "%s has no route that clients ask before they use their key; leave this out with the preset %s", preset.Runner, preset.Name)
	}
	switch {
	case c.UpstreamAPI == "":
	case !preset.FlowiseKeys:
		conflict("upstream-api", "it is for Flowise; leave it out with the preset %s", preset.Name)
	case c.AdminToken == "":
		conflict("upstream-api", "it is for the console, which needs --admin-token; set both, or neither")
	}
	if overlap(c.Listen, c.Admin) {
		faults = append(faults, errors.New("--listen and --admin are the same address; the admin listener must not be where clients connect"))
	}
	return c, errors.Join(faults...)
}

// Given reports whether a setting was set anywhere, rather than left at its default.
func (c *Config) Given(name string) bool { return c.place(name) != byDefault }

// place returns where a setting was set.
func (c *Config) place(name string) string {
	for _, s := range c.Sources {
		if s.Name == name {
			return s.Place
		}
	}
	return byDefault
}

// overlap reports whether two addresses to listen on are the same, or one includes the other.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	every := func(host string) bool {
		ip, err := netip.ParseAddr(host)
		return host == "" || err == nil && ip.IsUnspecified()
	}
	return errA == nil && errB == nil && portA == portB && portA != "0" && (hostA == hostB || every(hostA) || every(hostB))
}
