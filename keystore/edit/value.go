package edit

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// fields is the content of a mapping, however it is written: each value is a text, a list ([]any) or fields. An edit uses
// them to say what its result should mean.
type fields map[string]any

// valueOf returns the value of a node: a text, a list ([]any) or fields.
func valueOf(n *yaml.Node) any {
	n = strictyaml.Follow(n)
	switch n.Kind {
	case yaml.DocumentNode:
		return valueOf(n.Content[0])
	case yaml.MappingNode:
		f := fields{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i].Value, valueOf(n.Content[i+1])
			if value != "false" || name != "disabled" && name != "public" { // false means the same as no field
				f[name] = value
			}
		}
		return f
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, valueOf(item))
		}
		return list
	}
	return n.Value
}

// entry returns the entry with this ID in a list. If there is none, the fields that it returns belong to no file.
func (f fields) entry(list, id string) fields {
	all, _ := f[list].([]any)
	for _, one := range all {
		if entry, ok := one.(fields); ok && entry["id"] == id {
			return entry
		}
	}
	return fields{}
}

// add adds an item to the list under name.
func (f fields) add(name string, item any) {
	list, _ := f[name].([]any)
	f[name] = append(list, item)
}

// addItems adds entries, each given as its fields, to the list under name.
func (f fields) addItems(name string, items [][]newField) {
	for _, item := range items {
		f.add(name, written(item))
	}
}

// grant adds a key to the lists of chatflows.
func (f fields) grant(key string, chatflows []string) {
	for _, id := range chatflows {
		f.entry("chatflows", id).add("keys", key)
	}
}

// remove removes items from the list under name.
func (f fields) remove(name string, isOne func(i int, item any) bool) {
	list, ok := f[name].([]any)
	if !ok {
		return
	}
	kept := []any{}
	for i, item := range list {
		if !isOne(i, item) {
			kept = append(kept, item)
		}
	}
	f[name] = kept
}

// removeEntries removes the entries of a list for which isOne returns true.
func (f fields) removeEntries(list string, isOne func(id string, entry fields) bool) {
	f.remove(list, func(_ int, item any) bool {
		entry, _ := item.(fields)
		id, _ := entry["id"].(string)
		return isOne(id, entry)
	})
}

// withdraw removes a key from the lists of chatflows, and removes the whole entries of the closed ones.
func (f fields) withdraw(key string, from func(chatflow string) bool, closed []string) {
	f.removeEntries("chatflows", func(id string, entry fields) bool {
		if from(id) {
			entry.remove("keys", func(_ int, item any) bool { return item == key })
		}
		return slices.Contains(closed, id)
	})
}
