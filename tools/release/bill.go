package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// bill is what a program was built from, as it says itself.
type bill struct{ info *debug.BuildInfo }

func readBill(program string) (bill, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return bill{}, fmt.Errorf("what %s was built from: %w", program, err)
	}
	return bill{info}, nil
}

// modules are those whose code is in the program.
func (b bill) modules() (modules []*debug.Module) {
	for _, m := range b.info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		modules = append(modules, m)
	}
	return modules
}

// The parts of a CycloneDX document that are used here.
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

// write writes the bill as a CycloneDX document: the program, the modules and the standard library that are in it. It
// has no serial number, which would be another each time.
func (b bill) write(path string, o options) error {
	program := goModule("application", b.info.Main.Path, o.version, "")
	d := document{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{Timestamp: o.time.Format(time.RFC3339), Component: program}}
	if o.commit != "" {
		d.Metadata.Property = append(d.Metadata.Property, property{"git:commit", o.commit})
	}
	for _, s := range b.info.Settings {
		if slices.Contains([]string{"CGO_ENABLED", "GOARCH", "GOOS", "GOAMD64", "GOARM64"}, s.Key) {
			d.Metadata.Property = append(d.Metadata.Property, property{"go:" + s.Key, s.Value})
		}
	}
	d.Components = append(d.Components, goModule("library", "std", strings.TrimPrefix(b.info.GoVersion, "go"), ""))
	for _, m := range b.modules() {
		d.Components = append(d.Components, goModule("library", m.Path, m.Version, m.Sum))
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// notices are the licences and notices of everything in the program, which whoever passes it on has to pass on too.
func (b bill) notices(dir string) ([]byte, error) {
	root, err := goTool(dir, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("flowlatch contains the modules below, under these licences.\n")
	for _, m := range append([]*debug.Module{{Path: "Go's standard library", Version: b.info.GoVersion}}, b.modules()...) {
		at := root
		if m.Sum != "" {
			if at, err = goTool(dir, "list", "-m", "-f", "{{.Dir}}", m.Path); err != nil {
				return nil, err
			}
		}
		texts, err := licences(at)
		if err != nil {
			return nil, fmt.Errorf("licence of %s %s: %w", m.Path, m.Version, err)
		}
		fmt.Fprintf(&out, "\n%s\n%s %s\n\n%s", strings.Repeat("=", 80), m.Path, m.Version, texts)
	}
	return out.Bytes(), nil
}

// licences returns the files of a directory that say how its content may be used.
func licences(dir string) (text string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		base, _, _ := strings.Cut(strings.ToUpper(e.Name()), ".")
		if e.IsDir() || !slices.Contains([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, strings.SplitN(base, "-", 2)[0]) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		text += strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n")) + "\n\n"
	}
	if text == "" {
		return "", errors.New("there is none in its directory")
	}
	return text, nil
}

func goTool(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
