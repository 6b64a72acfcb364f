package edit

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore"
)

// Pruned is a secret that was removed from a key file.
type Pruned struct {
	Key    string
	Secret keystore.Secret
}

// PruneSecrets returns the key file data without the secrets that have expired by now, and which those are. With an id,
// only secrets of that key are removed. A key keeps the secret that expires last, even if it has expired: without one the
// key would be a fault. If there is nothing to remove, data is returned as it is. file is the name to use in errors.
func PruneSecrets(file string, data []byte, id string, now time.Time) ([]byte, []Pruned, error) {
	old, err := Parse(file, data)
	if err != nil {
		return nil, nil, err
	}
	keys := old.Keys()
	if id != "" {
		k, err := keyNamed(old, file, id)
		if err != nil {
			return nil, nil, err
		}
		keys = []*keystore.Key{k}
	}
	e := newEditor(file, data)
	var pruned []Pruned
	gone := map[string][]int{} // their indexes, by key
	for _, k := range keys {
		for _, i := range expiredSecrets(k, now) {
			gone[k.ID] = append(gone[k.ID], i)
			pruned = append(pruned, Pruned{k.ID, k.Secrets()[i]})
		}
	}
	if len(pruned) == 0 {
		return data, nil, nil
	}
	e.step(func() {
		for id, places := range gone {
			e.removeSecrets(e.entry("keys", id), places)
		}
	})
	next, err := e.result(func(file fields) {
		for id, places := range gone {
			file.entry("keys", id).remove("secrets", func(i int, _ any) bool { return slices.Contains(places, i) })
		}
	})
	if err != nil {
		return nil, nil, err
	}
	return next, pruned, nil
}

// expiredSecrets returns the indexes of those secrets of a key that can be removed.
func expiredSecrets(k *keystore.Key, now time.Time) (expired []int) {
	secrets, last := k.Secrets(), 0 // last is the one that expires last
	for i, s := range secrets {
		if !expiresAfter(now, s) {
			expired = append(expired, i)
		}
		if end := secrets[last].NotAfter(); !end.IsZero() && expiresAfter(end, s) {
			last = i
		}
	}
	if len(expired) == len(secrets) {
		expired = slices.Delete(expired, last, last+1)
	}
	return expired
}

// removeSecrets removes some of the secrets in a key's list, but not all. places are their indexes, in order.
func (e *editor) removeSecrets(key *yaml.Node, places []int) {
	_, list := field(key, "secrets")
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) <= len(places) {
		e.fail("the secrets of the key in line %d are not written as a list", key.Line)
		return
	}
	items := list.Content
	for len(places) > 0 { // neighbours are removed together
		first, end := places[0], places[0]
		for len(places) > 0 && places[0] == end {
			places, end = places[1:], end+1
		}
		if inBrackets(list) {
			e.cutFromBrackets(list, first, end-first)
			continue
		}
		e.dashIndent(items[first]) // fails if something else stands in the line
		e.removeLines(e.lines[items[first].Line-1], e.nextLine(items[end-1]))
	}
}
