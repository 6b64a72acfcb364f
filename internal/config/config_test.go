package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestTable checks that every declared setting has a row in the table, in the same order, and the variable that goes
// with its name.
func TestTable(t *testing.T) {
	parser, err := kong.New(&Flags{})
	if err != nil {
		t.Fatal(err)
	}
	var declared, rows []string
	for _, f := range parser.Model.Flags {
		if f.Name == "help" {
			continue
		}
		declared = append(declared, f.Name)
		if want := []string{variable(f.Name)}; !slices.Equal(f.Envs, want) {
			t.Errorf("variables of --%s = %q, want %q", f.Name, f.Envs, want)
		}
	}
	for _, s := range (&Config{}).settings() {
		rows = append(rows, s.name)
	}
	if diff := cmp.Diff(declared, rows); diff != "" {
		t.Errorf("settings (-Flags +table):\n%s", diff)
	}
}

// TestDefaults checks that every default is a value that the setting takes.
func TestDefaults(t *testing.T) {
	for _, preset := range route.Presets() {
		parser, err := kong.New(&Flags{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, err := parser.Parse([]string{"--preset", preset.Name})
		if err != nil {
			t.Fatal(err)
		}
		c, err := Resolve(ctx)
		if err != nil {
			t.Errorf("Resolve(--preset %s) = %v, want no fault", preset.Name, err)
		}
		if got := c.Proxy.Upstream.String(); got != preset.Upstream || !slices.Equal(c.Proxy.Expose, preset.Expose) {
			t.Errorf("Resolve(--preset %s) = upstream %s, expose %q, want %s, %q", preset.Name, got, c.Proxy.Expose, preset.Upstream, preset.Expose)
		}
	}
}

// FuzzFile: whatever a settings file contains, each value that is read belongs to a setting that exists and has a
// place, each route can be used beside those of the preset, and no route is dropped without a fault.
func FuzzFile(f *testing.F) {
	f.Add("drain: 1m\nexpose: [predict, run]\nroutes:\n  - {group: run, methods: [POST], path: '/run/{chatflow}', id: '[a-z]+'}\n")
	f.Add("drain: [1s]\nlissen: :80\nroutes: {}\n")
	f.Add("routes:\n  - group: run\n    methods: ['*']\n    path: /api/v1/prediction/{chatflow}\n    id: 'a)|(b'\n")
	f.Add("a: &a [*a]\nroutes: *a\n")
	settings := (&Config{}).settings()
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "flowlatch.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := readFile(Source{Value: path}, settings)
		if err != nil {
			t.Fatalf("readFile(%q) = %v", text, err)
		}
		for name, s := range file.values {
			if name == "config" || !slices.ContainsFunc(settings, func(s setting) bool { return s.name == name }) || !strings.HasPrefix(s.Place, path+":") {
				t.Errorf("readFile(%q) has %q from %q, want a setting and its place", text, name, s.Place)
			}
		}
		preset := route.Flowise()
		routes, err := file.parseRoutes(preset)
		if _, err := route.NewTable(slices.Concat(preset.Routes, routes)); err != nil {
			t.Errorf("parseRoutes(%q) = routes that are invalid: %v", text, err)
		}
		if err == nil && file.routes != nil && len(routes) != len(file.routes.Content) {
			t.Errorf("parseRoutes(%q) = %d routes of %d and no fault", text, len(routes), len(file.routes.Content))
		}
	})
}
