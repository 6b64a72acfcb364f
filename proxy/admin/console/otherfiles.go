package console

import (
	"maps"
	"slices"

	"github.com/flowlatch/flowlatch/keystore/edit"
)

// In a directory of key files, a chatflow may be in another file than the keys that open it. Its list of keys is edited
// in the file that has the chatflow.

// divide divides chatflows into those that are in the key file at path, or in none, and those in other files, by the
// paths of these files.
func (f *file) divide(path string, ids []string) (own []string, others map[string][]string) {
	others = map[string][]string{}
	for _, id := range ids {
		if entry := f.snapshot.Entry(id); entry != nil && entry.File() != path {
			others[entry.File()] = append(others[entry.File()], id)
		} else {
			own = append(own, id)
		}
	}
	return own, others
}

// keysElsewhere returns those of the keys that are in other files than the one at path.
func (f *file) keysElsewhere(path string, ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		k := f.snapshot.Key(id)
		return k == nil || k.File() == path
	})
}

// listings returns the edits that list a key for chatflows in other files than its own.
func listings(key string, others map[string][]string) (edits []fileEdit) {
	for _, path := range slices.Sorted(maps.Keys(others)) {
		edits = append(edits, fileEdit{path, func(data []byte) ([]byte, error) {
			return edit.ListKey(path, data, key, others[path])
		}})
	}
	return edits
}

// unlistings returns the edits that undo what those of listings do.
func unlistings(key string, others map[string][]string, closes bool) (edits []fileEdit) {
	for _, path := range slices.Sorted(maps.Keys(others)) {
		edits = append(edits, fileEdit{path, func(data []byte) ([]byte, error) {
			return edit.UnlistKey(path, data, key, others[path], closes)
		}})
	}
	return edits
}
