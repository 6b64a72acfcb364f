package config

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// parseRoutes returns the routes of the settings file, or everything that is wrong in the file.
func (f *settingsFile) parseRoutes(preset *route.Preset) (routes []*route.Route, err error) {
	if f.routes != nil {
		f.Sequence(f.routes, "routes", func(n *yaml.Node) {
			r := f.route(n)
			if r == nil {
				return
			}
			if _, err := route.NewTable(slices.Concat(preset.Routes, routes, []*route.Route{r})); err != nil {
				f.Fault(n, "%v", err)
				return
			}
			routes = append(routes, r)
		})
	}
	if len(f.Faults) > 0 {
		f.Faults.Sort()
		return routes, f.Faults
	}
	return routes, nil
}

// route parses one route, or returns nil after a fault.
func (f *settingsFile) route(n *yaml.Node) *route.Route {
	before := len(f.Faults)
	r := &route.Route{AnyQuery: true}
	f.Mapping(n, "a route", []string{"group", "name", "path", "methods", "id", "websocket"}, func(name string, n *yaml.Node) bool {
		switch name {
		case "group":
			r.Group, _ = f.Text(n, name)
		case "name":
			r.Name, _ = f.Text(n, name)
		case "path":
			r.Path, _ = f.Text(n, name)
		case "methods":
			f.Sequence(n, name, func(n *yaml.Node) {
				if method, ok := f.Text(n, "a method"); ok {
					r.Methods = append(r.Methods, method)
				}
			})
		case "id":
			r.ID = f.idPattern(n)
		case "websocket":
			r.Websocket = f.Bool(n, name)
		default:
			return false
		}
		return true
	})
	if len(f.Faults) > before {
		return nil
	}
	if !slices.Contains(strings.Split(r.Path, "/"), "{chatflow}") {
		f.Fault(n, "path %q has no {chatflow}: without it nothing says whose key is needed", r.Path)
		return nil
	}
	if err := r.Validate(); err != nil {
		f.Fault(n, "%v", err)
		return nil
	}
	return r
}

// idPattern parses the form of a chatflow ID, which must match whole.
func (f *settingsFile) idPattern(n *yaml.Node) *regexp.Regexp {
	text, ok := f.Text(n, "id")
	if !ok {
		return nil
	}
	if _, err := regexp.Compile(text); err != nil { // by itself: "a)|(b" would close the group below
		f.Fault(n, "id: %q is not a regular expression: %v", text, err)
		return nil
	}
	return regexp.MustCompile("^(?:" + text + ")$")
}
