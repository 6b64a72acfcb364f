package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/flowlatch/flowlatch"

// listed is what `go list` says about a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
}

// goList lists packages and their dependencies, as built for the operating system goos.
func goList(t *testing.T, goos string, patterns ...string) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Standard,Imports,Deps"}, patterns...)...)
	cmd.Env = append(cmd.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	packages := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// TestImportsRunOneWay checks that no package knows more than it should: commands know settings and the
// gate, the gate knows keys, keys know files.
func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	rules := map[string]struct {
		own   []string // the module's packages that it may import
		avoid []string // what it must not import directly
		never []string // what it must not depend on, even indirectly
		only  []string // the only modules it may import besides, if listed
	}{
		"cmd/flowlatch": {
			own: []string{"internal/config", "internal/doctor", "proxy", "proxy/admin", "proxy/admin/signin", "proxy/limit", "proxy/route", "proxy/problem", "proxy/certificate", "proxy/token", "keystore", "keystore/edit", "keystore/flowise"},
		},
		"internal/doctor": {
			own:   []string{"proxy/admin", "proxy/problem", "proxy/route", "keystore", "keystore/origin", "keystore/flowise"},
			never: []string{"github.com/alecthomas/kong"},
			only:  []string{},
		},
		"internal/config": {
			own:   []string{"proxy", "proxy/admin/signin", "proxy/header", "proxy/limit", "proxy/route", "proxy/certificate", "proxy/credential", "proxy/token", "keystore", "keystore/flowise", "keystore/strictyaml", "keystore/watch"},
			avoid: []string{"net/http", "github.com/prometheus", "github.com/gorilla/mux"},
		},
		"proxy/admin": {
			own:   []string{"proxy", "proxy/admin/console", "proxy/admin/signin", "proxy/certificate", "proxy/header", "proxy/limit", "proxy/problem", "proxy/stats", "proxy/token", "keystore"},
			never: []string{"github.com/alecthomas/kong"},
			only:  []string{"github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_golang/prometheus/promhttp"},
		},
		"proxy/body": {
			own:   []string{"proxy/connection", "proxy/problem", "proxy/route", "proxy/share", "keystore"},
			never: []string{"github.com/alecthomas/kong", "github.com/prometheus", "github.com/rs/zerolog"},
			only:  []string{"github.com/go-json-experiment/json/jsontext"},
		},
		"proxy/connection": {
			only: []string{},
		},
		"proxy/stats": {
			own:   []string{"proxy/problem", "keystore"},
			avoid: []string{"net/http", "github.com/rs/zerolog"},
			only:  []string{"github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_golang/prometheus/collectors"},
		},
		"proxy/admin/console": {
			own:   []string{"proxy", "proxy/admin/signin", "proxy/certificate", "proxy/problem", "proxy/route", "keystore", "keystore/edit", "keystore/flowise", "keystore/watch"},
			never: []string{"github.com/alecthomas/kong"},
			only:  []string{"github.com/rs/zerolog"},
		},
		"proxy/admin/signin": {
			own:   []string{"proxy", "keystore", "keystore/watch"},
			never: []string{"github.com/alecthomas/kong"},
			only:  []string{"github.com/rs/zerolog"},
		},
		"proxy/credential": {
			own:   []string{"proxy/route", "keystore", "keystore/watch"},
			avoid: []string{"net/http"},
			never: []string{"github.com/alecthomas/kong", "github.com/prometheus", "github.com/rs/zerolog"},
			only:  []string{},
		},
		"proxy/header": {
			own:   []string{"proxy/route", "keystore/origin"},
			avoid: []string{"os"},
			never: []string{"github.com/alecthomas/kong", "github.com/prometheus", "github.com/rs/zerolog"},
			only:  []string{"github.com/rs/cors"},
		},
		"proxy/limit": {
			own:   []string{"keystore", "keystore/edit", "keystore/watch"},
			avoid: []string{"net/http"},
			only:  []string{"github.com/gomodule/redigo/redis", "github.com/go-json-experiment/json/jsontext"},
		},
		"proxy/route": {
			own:   []string{"proxy/problem", "keystore", "keystore/origin"},
			avoid: []string{"os"},
			never: []string{"github.com/alecthomas/kong", "github.com/prometheus", "github.com/rs/zerolog"},
			only:  []string{"github.com/gorilla/mux"},
		},
		"proxy/problem": {
			never: []string{"github.com/alecthomas/kong", "github.com/prometheus", "github.com/rs/zerolog"},
			only:  []string{"github.com/go-json-experiment/json/jsontext"},
		},
		"proxy/token": {
			own:   []string{"proxy/route", "keystore", "keystore/origin", "keystore/watch"},
			never: []string{"github.com/alecthomas/kong", "github.com/prometheus", "github.com/rs/zerolog"},
			only:  []string{"github.com/golang-jwt/jwt/v5", "github.com/go-json-experiment/json"},
		},
		"proxy/share": {
			avoid: []string{"net/http"},
			only:  []string{},
		},
		"proxy/transport": {
			own:  []string{"keystore/origin"},
			only: []string{},
		},
		"proxy/certificate": {
			own:   []string{"keystore/watch"},
			never: []string{"net/http", "github.com/rs/zerolog", "github.com/alecthomas/kong", "github.com/prometheus"},
			only:  []string{},
		},
		"proxy/certificate/certificatetest": {
			only: []string{},
		},
		"proxy": {
			own:   []string{"keystore", "keystore/origin", "keystore/watch", "proxy/body", "proxy/connection", "proxy/credential", "proxy/header", "proxy/stats", "proxy/limit", "proxy/route", "proxy/problem", "proxy/share", "proxy/token", "proxy/transport", "proxy/certificate"},
			avoid: []string{"github.com/alecthomas/kong", "go.yaml.in/yaml", "flag", "os/signal"},
			never: []string{"github.com/alecthomas/kong"},
		},
		"keystore": {
			own:   []string{"keystore/origin", "keystore/watch", "keystore/strictyaml"},
			avoid: []string{"github.com/gorilla/mux", "github.com/prometheus"},
			never: []string{"net/http", "github.com/rs/zerolog", "github.com/alecthomas/kong"},
		},
		"keystore/edit": {
			own:   []string{"keystore", "keystore/strictyaml"},
			never: []string{"net/http", "github.com/rs/zerolog", "github.com/alecthomas/kong"},
			only:  []string{"go.yaml.in/yaml/v4", "github.com/go-json-experiment/json/jsontext"},
		},
		"keystore/watch": {
			never: []string{"net/http", "go.yaml.in/yaml", "github.com/rs/zerolog"},
			only:  []string{"github.com/fsnotify/fsnotify"},
		},
		"keystore/flowise": {
			own:   []string{"keystore", "keystore/watch"},
			never: []string{"github.com/alecthomas/kong", "github.com/gorilla/mux", "github.com/prometheus", "github.com/rs/zerolog"},
			only:  []string{},
		},
		"keystore/origin": {
			never: []string{"net/http"},
			only:  []string{},
		},
		"internal/testkit": {
			only: []string{},
		},
		"keystore/strictyaml": {
			never: []string{"net/http", "github.com/rs/zerolog"},
			only:  []string{"go.yaml.in/yaml/v4", "github.com/go-json-experiment/json/jsontext"},
		},
	}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			packages := goList(t, goos, "./cmd/...", "./internal/...", "./proxy/...", "./keystore/...")
			found := 0
			for path, p := range packages {
				name, own := strings.CutPrefix(path, module+"/")
				if !own {
					continue
				}
				rule, ok := rules[name]
				if !ok {
					t.Errorf("package %s has no rule about what it may import; write one", name)
					continue
				}
				found++
				for _, i := range p.Imports {
					checkImport(t, name, i, packages[i].Standard, rule.own, rule.avoid, rule.only)
				}
				for _, dep := range p.Deps {
					if under(dep, rule.never) {
						t.Errorf("deps(%s) have %s, want it nowhere below", name, dep)
					}
				}
			}
			if found != len(rules) {
				t.Errorf("packages with rules = %d, want %d: one of them is gone", found, len(rules))
			}
		})
	}
}

// TestNothingImportsCommands covers the packages of every folder, deploy's too.
func TestNothingImportsCommands(t *testing.T) {
	t.Parallel()
	for path, p := range goList(t, "linux", "./...") {
		for _, i := range p.Imports {
			if strings.HasPrefix(i, module+"/cmd/") && !strings.HasPrefix(path, module+"/cmd/") {
				t.Errorf("imports(%s) have %s, want nothing of cmd", path, i)
			}
		}
	}
}

func checkImport(t *testing.T, name, i string, standard bool, own, avoid, only []string) {
	t.Helper()
	if short, ok := strings.CutPrefix(i, module+"/"); ok {
		if !slices.Contains(own, short) {
			t.Errorf("imports(%s) have %s, want of this module %q alone", name, short, own)
		}
		return
	}
	if under(i, avoid) {
		t.Errorf("imports(%s) have %s, want it left to others", name, i)
	}
	if only != nil && !standard && !slices.Contains(only, i) {
		t.Errorf("imports(%s) have %s, want the standard library and %q alone", name, i, only)
	}
}

// under reports whether a package is one of those, or below one.
func under(path string, those []string) bool {
	return slices.ContainsFunc(those, func(s string) bool { return path == s || strings.HasPrefix(path, s+"/") })
}
