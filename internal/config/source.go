package config

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// Source is a setting's value as it was written, and the place where it was set.
type Source struct{ Name, Value, Place string }

// byDefault is the place of a setting that was set nowhere.
const byDefault = "default"

// sources are the places where settings are looked for.
type sources struct {
	flags  map[string]*kong.Flag // of the command, by name
	given  map[string]bool       // whether a flag is on the command line
	file   map[string]Source     // of the settings file
	preset map[string]string     // defaults of the preset, where it has its own
}

func newSources(ctx *kong.Context) *sources {
	from := &sources{flags: map[string]*kong.Flag{}, given: map[string]bool{}}
	for _, f := range ctx.Flags() {
		from.flags[f.Name] = f
	}
	for _, p := range ctx.Path {
		if p.Flag != nil {
			from.given[p.Flag.Name] = true
		}
	}
	return from
}

// source looks for a setting in all places. An empty variable counts as not set: that is how a compose file passes on a
// variable that is not set.
func (from *sources) source(name string) Source {
	flag := from.flags[name]
	if from.given[name] {
		return Source{name, flag.Target.String(), "--" + name}
	}
	if v := os.Getenv(variable(name)); v != "" {
		return Source{name, v, "environment variable " + variable(name)}
	}
	if s, ok := from.file[name]; ok {
		return s
	}
	if flag == nil {
		return Source{Name: name, Place: byDefault}
	}
	return Source{name, cmp.Or(from.preset[name], flag.Default), byDefault}
}

// variable returns the environment variable of a setting.
func variable(setting string) string {
	return "FLOWLATCH_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// The secrets of `flowlatch import`. They look like settings but are not: no flag and no settings file may have them.
const (
	ImportPassword = "FLOWLATCH_IMPORT_PASSWORD"
	ImportAPIKey   = "FLOWLATCH_IMPORT_API_KEY"
)

// kubernetesVariable matches what Kubernetes puts into every container for each Service of its namespace: with a Service
// named flowlatch, FLOWLATCH_PORT=tcp://10.0.0.1:8080 and more. Without the URL, FLOWLATCH_PORT is somebody's mistake.
var kubernetesVariable = regexp.MustCompile(`^FLOWLATCH_([^=]+_)?(SERVICE_HOST=|SERVICE_PORT(_[^=]+)?=|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=|PORT=.*://)`)

// unknownVariables returns an error for each environment variable that looks like a setting but is not one.
func unknownVariables(settings []setting) (errs []error) {
	known := []string{ImportPassword, ImportAPIKey}
	for _, s := range settings {
		known = append(known, variable(s.name))
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "FLOWLATCH_") && !slices.Contains(known, name) && !kubernetesVariable.MatchString(kv) {
			errs = append(errs, fmt.Errorf("environment variable %s: there is no such setting%s", name, strictyaml.DidYouMean(name, known)))
		}
	}
	return errs
}
