package console

import (
	"maps"
	"slices"

	"github.com/flowlatch/flowlatch/keystore/edit"
)

// In a directory of key files, a chatflow may be listed by another file than the keys that open it. What is to happen to its
// list is an edit of the file that has the chatflow.

// divide divides chatflows into those that the key file at a path lists, or that none does, and those of other files, by the
// paths of these.
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

// keysElsewhere returns which of some keys are in other files than that at a path.
func (f *file) keysElsewhere(path string, ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		k := f.snapshot.Key(id)
		return k == nil || k.File() == path
	})
}

// listings list a key for chatflows of other files than its own.
func listings(key string, others map[string][]string) (edits []fileEdit) {
	for _, path := range slices.Sorted(maps.Keys(others)) {
		edits = append(edits, fileEdit{path, func(data []byte) ([]byte, error) {
			return edit.ListKey(path, data, key, others[path])
		}})
	}
	return edits
}

// unlistings undo that.
func unlistings(key string, others map[string][]string, closes bool) (edits []fileEdit) {
	for _, path := range slices.Sorted(maps.Keys(others)) {
		edits = append(edits, fileEdit{path, func(data []byte) ([]byte, error) {
			return edit.UnlistKey(path, data, key, others[path], closes)
		}})
	}
	return edits
}
