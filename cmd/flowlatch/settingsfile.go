package main

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// settingsFile is what the file of --config holds.
type settingsFile struct {
	path   string
	values map[string]settingValue // by the setting's name
	routes []*route.Route
}

type settingValue struct {
	text string
	name string // as written in the file
	line int
}

// readSettings reads the settings file. Everything wrong with it is in the error. presetOf returns the preset
// that is in force given what the file says, which its routes must not collide with.
func readSettings(path string, names []string, presetOf func(*settingsFile) *route.Preset) (*settingsFile, error) {
	f := &settingsFile{path: path, values: map[string]settingValue{}}
	data, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	d := &strictyaml.Decoder{File: path}
	root := d.Document(data)
	if root == nil {
		return f, d.Faults
	}
	var routes *yaml.Node
	fields := map[string]func(*yaml.Node){"routes": func(n *yaml.Node) { routes = n }}
	var snake []string
	for _, name := range names {
		if name == "config" {
			continue
		}
		s := strings.ReplaceAll(name, "-", "_")
		snake = append(snake, s)
		fields[s] = func(n *yaml.Node) { f.value(d, name, s, n) }
	}
	if root.Kind == yaml.MappingNode {
		for i := 0; i < len(root.Content); i += 2 {
			n := root.Content[i]
			if _, ok := fields[n.Value]; !ok {
				d.Fault(n, "there is no setting %q%s", n.Value, closest(strings.ReplaceAll(n.Value, "-", "_"), snake))
				fields[n.Value] = func(*yaml.Node) {}
			}
		}
	}
	d.Mapping(root, "the settings file", known(fields))
	if routes != nil {
		preset := presetOf(f)
		d.Sequence(routes, "routes", func(n *yaml.Node) { f.route(d, n, preset) })
	}
	if len(d.Faults) > 0 {
		d.Faults.Sort()
		return f, d.Faults
	}
	return f, nil
}

// known calls the function for a field.
func known(fields map[string]func(*yaml.Node)) func(string, *yaml.Node) bool {
	return func(name string, n *yaml.Node) bool {
		set, ok := fields[name]
		if ok {
			set(n)
		}
		return ok
	}
}

// value takes a setting's value: one value, or a list for settings that are one.
func (f *settingsFile) value(d *strictyaml.Decoder, name, written string, n *yaml.Node) {
	v := settingValue{name: written, line: n.Line}
	if n.Kind == yaml.SequenceNode && slices.Contains([]string{"expose", "trusted-proxies", "cors-origins"}, name) {
		var items []string
		d.Sequence(n, written, func(n *yaml.Node) {
			if s, ok := d.Text(n, "an item of "+written); ok {
				items = append(items, s)
			}
		})
		v.text = strings.Join(items, ",")
	} else {
		var ok bool
		if v.text, ok = d.Text(n, written); !ok {
			return
		}
	}
	f.values[name] = v
}

// route takes a route for another runner.
func (f *settingsFile) route(d *strictyaml.Decoder, n *yaml.Node, preset *route.Preset) {
	r := &route.Route{AnyQuery: true}
	text := func(to *string, what string) func(*yaml.Node) {
		return func(n *yaml.Node) { *to, _ = d.Text(n, what) }
	}
	before := len(d.Faults)
	ok := d.Mapping(n, "a route", known(map[string]func(*yaml.Node){
		"group": text(&r.Group, "group"),
		"name":  text(&r.Name, "name"),
		"path":  text(&r.Path, "path"),
		"methods": func(n *yaml.Node) {
			d.Sequence(n, "methods", func(n *yaml.Node) {
				if m, ok := d.Text(n, "a method"); ok {
					r.Methods = append(r.Methods, m)
				}
			})
		},
		"id": func(n *yaml.Node) {
			v, ok := d.Text(n, "id")
			if !ok {
				return
			}
			if _, err := regexp.Compile(v); err != nil { // by itself: "a)|(b" would close the group below
				d.Fault(n, "id: %q is not a regular expression: %v", v, err)
				return
			}
			r.ID = regexp.MustCompile("^(?:" + v + ")$")
		},
		"websocket": func(n *yaml.Node) { r.Websocket = d.Bool(n, "websocket") },
	}))
	if !ok || len(d.Faults) > before {
		return
	}
	if !slices.Contains(strings.Split(r.Path, "/"), "{chatflow}") {
		d.Fault(n, "path %q has no {chatflow}: without it nothing says whose key is needed", r.Path)
		return
	}
	err := r.Validate()
	if err == nil {
		_, err = route.NewTable(slices.Concat(preset.Routes, f.routes, []*route.Route{r}))
	}
	if err != nil {
		d.Fault(n, "%v", err)
		return
	}
	f.routes = append(f.routes, r)
}
