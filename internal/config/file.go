package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// settingsFile is what the file of --config holds.
type settingsFile struct {
	strictyaml.Decoder                   // has the faults
	values             map[string]Source // by the setting's name
	routes             *yaml.Node        // parsed once the preset is known, with which they must not collide
}

// readFile reads the settings file, if one is named. An error means that it cannot be read; what is wrong in it is told
// with its routes.
func readFile(path Source, settings []setting) (*settingsFile, error) {
	f := &settingsFile{Decoder: strictyaml.Decoder{File: path.Value}, values: map[string]Source{}}
	if path.Value == "" {
		return f, nil
	}
	data, err := os.ReadFile(path.Value)
	if err != nil {
		return f, fmt.Errorf("%s: %w", path.Place, err)
	}
	root := f.Document(data)
	if root == nil {
		return f, nil
	}
	known := map[string]setting{}
	var names []string
	for _, s := range settings {
		if s.name != "config" {
			name := strings.ReplaceAll(s.name, "-", "_")
			known[name], names = s, append(names, name)
		}
	}
	if root.Kind == yaml.MappingNode {
		for i := 0; i < len(root.Content); i += 2 {
			if n := root.Content[i]; n.Value != "routes" && !slices.Contains(names, n.Value) {
				f.Fault(n, "there is no setting %q%s", n.Value, didYouMean(strings.ReplaceAll(n.Value, "-", "_"), names))
			}
		}
	}
	f.Mapping(root, "the settings file", func(name string, n *yaml.Node) bool {
		if s, ok := known[name]; ok {
			f.value(s, name, n)
		} else if name == "routes" {
			f.routes = n
		}
		return true // what is unknown was told above, with a guess
	})
	return f, nil
}

// value takes a setting's value: text, or a list where the setting may be one. written is its name in the file.
func (f *settingsFile) value(s setting, written string, n *yaml.Node) {
	var text string
	if s.list && n.Kind == yaml.SequenceNode {
		var items []string
		f.Sequence(n, written, func(n *yaml.Node) {
			if item, ok := f.Text(n, "an item of "+written); ok {
				items = append(items, item)
			}
		})
		text = strings.Join(items, ",")
	} else {
		var ok bool
		if text, ok = f.Text(n, written); !ok {
			return
		}
	}
	f.values[s.name] = Source{s.name, text, fmt.Sprintf("%s:%d: %s", f.File, n.Line, written)}
}
