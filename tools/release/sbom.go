package main

import (
	"encoding/json"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// modules returns the modules that are compiled into a program.
func modules(info *debug.BuildInfo) (modules []*debug.Module) {
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		modules = append(modules, m)
	}
	return modules
}

// The fields of CycloneDX that an SBOM of a Go program needs.
type (
	document struct {
		Format     string      `json:"bomFormat"`
		Spec       string      `json:"specVersion"`
		Version    int         `json:"version"`
		Metadata   metadata    `json:"metadata"`
		Components []component `json:"components"`
	}
	metadata struct {
		Timestamp string     `json:"timestamp"`
		Component component  `json:"component"`
		Property  []property `json:"properties"`
	}
	component struct {
		Type     string     `json:"type"`
		Ref      string     `json:"bom-ref"`
		Name     string     `json:"name"`
		Version  string     `json:"version"`
		PURL     string     `json:"purl"`
		Property []property `json:"properties,omitempty"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

func goModule(kind, path, version, sum string) component {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	c := component{Type: kind, Ref: purl, Name: path, Version: version, PURL: purl}
	if sum != "" {
		c.Property = []property{{"go:sum", sum}}
	}
	return c
}

// writeSBOM writes a CycloneDX document with the program, its modules and the standard library. It has no serial number, which would differ each time.
func writeSBOM(path string, info *debug.BuildInfo, o options) error {
	program := goModule("application", info.Main.Path, o.version, "")
	d := document{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{Timestamp: o.time.Format(time.RFC3339), Component: program}}
	if o.commit != "" {
		d.Metadata.Property = append(d.Metadata.Property, property{"git:commit", o.commit})
	}
	for _, s := range info.Settings {
		if slices.Contains([]string{"CGO_ENABLED", "GOARCH", "GOOS", "GOAMD64", "GOARM64"}, s.Key) {
			d.Metadata.Property = append(d.Metadata.Property, property{"go:" + s.Key, s.Value})
		}
	}
	d.Components = append(d.Components, goModule("library", "std", strings.TrimPrefix(info.GoVersion, "go"), ""))
	for _, m := range modules(info) {
		d.Components = append(d.Components, goModule("library", m.Path, m.Version, m.Sum))
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
