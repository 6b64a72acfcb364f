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
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// Config is what the settings say. A setting that the command has no flag for keeps its zero value.
type Config struct {
	// Listen and Admin are the addresses of the two listeners.
	Listen, Admin string
	// Proxy is how the proxy is set up; its store, certificates, log, registry and version are added by the command.
	Proxy proxy.Options
	// FileRoutes are the routes that the settings file adds to those of the preset. Proxy.Routes has both.
	FileRoutes []*route.Route
	// Certificates are the files that TLS is set up from.
	Certificates certificate.Files
	// Keys is the path of the key file.
	Keys string
	// WaitForKeys is how long a missing or invalid key file is waited for at the start. Zero means not at all.
	WaitForKeys time.Duration
	// Drain is how long open requests may go on after SIGTERM. Zero means that they are cut at once.
	Drain time.Duration
	// LogLevel is the least level that is logged.
	LogLevel zerolog.Level
	// LogConsole says that the log is text for people, not JSON.
	LogConsole bool
	// Sources are where the settings come from, in the order of their declaration.
	Sources []Source
}

// Resolve returns the settings of the command that was parsed, or everything that is wrong with them, joined. With an
// error, the settings that are in order are returned too.
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
	c.Proxy.Preset = presetOr(from.source("preset").Value)
	c.FileRoutes, err = file.parseRoutes(c.Proxy.Preset)
	if err != nil {
		faults = append(faults, err)
	}
	c.Proxy.Routes = slices.Concat(c.Proxy.Preset.Routes, c.FileRoutes)
	for _, setting := range settings {
		s := from.source(setting.name)
		switch {
		case !from.has(setting.name):
			continue
		case s.Place == byDefault:
			s.Value = presetDefault(c.Proxy.Preset, s)
		}
		c.Sources = append(c.Sources, s)
		err := setting.set(s.Value)
		if err == nil && s.Place != byDefault {
			err = fitsPreset(c.Proxy.Preset, s.Name)
		}
		for _, err := range each(err) {
			faults = append(faults, fmt.Errorf("%s: %w", s.Place, err))
		}
	}
	faults = append(faults, c.checkTLS(len(faults) == 0)...)
	if overlap(c.Listen, c.Admin) {
		faults = append(faults, errors.New("--listen and --admin are the same address; the admin listener must not be where clients connect"))
	}
	return c, errors.Join(faults...)
}

// each returns the errors that were joined in err, so that each can be given its place.
func each(err error) []error {
	switch err := err.(type) { //nolint:errorlint // only what was joined here
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		return err.Unwrap()
	}
	return []error{err}
}

// place returns where a setting was set.
func (c *Config) place(name string) string {
	for _, s := range c.Sources {
		if s.Name == name {
			return s.Place
		}
	}
	return "--" + name
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
