package config

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// parseRoutes returns the routes of the settings file, or everything that is wrong in the file.
func (f *settingsFile) parseRoutes(preset *route.Preset) (routes []*route.Route, err error) {
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
	if len(f.Faults) > 0 {
		f.Faults.Sort()
		return routes, f.Faults
	}
	return routes, nil
}

// routeFields are the fields of a route in the file; nil for those that it does not have.
type routeFields struct {
	Group, Name, Path, Methods, ID, Websocket *yaml.Node
}

var inRoute = strictyaml.FieldsOf[routeFields](nil)

// route parses one route, or returns nil after a fault.
func (f *settingsFile) route(n *yaml.Node) *route.Route {
	before := len(f.Faults)
	in, _ := inRoute.Read(&f.Decoder, n, "a route")
	r := &route.Route{AnyQuery: true, ID: f.idPattern(in.ID), Websocket: f.Bool(in.Websocket, "websocket")}
	r.Group, _ = f.Text(in.Group, "group")
	r.Name, _ = f.Text(in.Name, "name")
	r.Path, _ = f.Text(in.Path, "path")
	f.Sequence(in.Methods, "methods", func(n *yaml.Node) {
		if method, ok := f.Text(n, "a method"); ok {
			r.Methods = append(r.Methods, method)
		}
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

// idPattern parses the pattern of chatflow IDs, and makes it match whole IDs only.
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
