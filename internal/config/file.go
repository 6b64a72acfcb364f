package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
	"github.com/flowlatch/flowlatch/keystore/watch"
)

// maxFile is the size of the largest settings file that is read, in bytes.
const maxFile = 1 << 20

// settingsFile is what the file of --config holds.
type settingsFile struct {
	strictyaml.Decoder                   // has the faults
	values             map[string]Source // by the setting's name
	routes             *yaml.Node        // parsed once the preset is known, with whose routes they must not collide
}

// readFile reads the settings file, if one is named. An error means that the file cannot be read. Faults in the file
// are reported by parseRoutes.
func readFile(path Source, settings []setting) (*settingsFile, error) {
	f := &settingsFile{Decoder: strictyaml.Decoder{File: path.Value}, values: map[string]Source{}}
	if path.Value == "" {
		return f, nil
	}
	data, err := watch.ReadFile(path.Value, maxFile)
	if err != nil {
		return f, fmt.Errorf("%s: %w", path.Place, err)
	}
	root := f.Document(data)
	if root == nil {
		return f, nil
	}
	known := map[string]setting{"routes": {}}
	for _, s := range settings {
		known[strings.ReplaceAll(s.name, "-", "_")] = s
	}
	delete(known, "config")
	f.Mapping(root, "the settings file", slices.Sorted(maps.Keys(known)), func(name string, n *yaml.Node) bool {
		s, ok := known[name]
		switch {
		case name == "routes":
			f.routes = n
		case ok:
			f.value(s, name, n)
		}
		return ok
	})
	return f, nil
}

// value reads a setting's value: text, or a list if the setting may be one. written is the setting's name in the file.
func (f *settingsFile) value(s setting, written string, n *yaml.Node) {
	before := len(f.Faults)
	var items []string
	add := func(n *yaml.Node, what string) {
		text, _ := f.Text(n, what)
		items = append(items, text)
	}
	if s.list && n.Kind == yaml.SequenceNode {
		f.Sequence(n, written, func(n *yaml.Node) { add(n, "an item of "+written) })
	} else {
		add(n, written)
	}
	if len(f.Faults) == before {
		f.values[s.name] = Source{s.name, strings.Join(items, ","), fmt.Sprintf("%s:%d: %s", f.File, n.Line, written)}
	}
}
