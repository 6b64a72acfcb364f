package edit

import (
	"fmt"
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
// only those of that key are removed. A key keeps its last secret, even if that has expired: without one it would be a
// fault. If there is nothing to remove, data is returned as it is. file is the name to use in errors.
func PruneSecrets(file string, data []byte, id string, now time.Time) ([]byte, []Pruned, error) {
	old, err := Parse(file, data)
	if err != nil {
		return nil, nil, err
	}
	keys := old.Keys()
	if id != "" {
		k, err := old.KeyNamed(id)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		keys = []*keystore.Key{k}
	}
	e := newEditor(file, data)
	var pruned []Pruned
	e.step(func() {
		for _, k := range keys {
			expired := expiredSecrets(k, now)
			for _, i := range expired {
				pruned = append(pruned, Pruned{k.ID, k.Secrets()[i]})
			}
			if len(expired) > 0 {
				e.removeSecrets(e.entry("keys", k.ID), expired)
			}
		}
	})
	if e.err == nil && len(pruned) == 0 {
		return data, nil, nil
	}
	next, err := e.result(func(next *keystore.Snapshot) bool { return isPruned(old, next, pruned) })
	if err != nil {
		return nil, nil, err
	}
	return next, pruned, nil
}

// expiredSecrets returns the places of a key's secrets that can go.
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

// isPruned reports whether the secrets in pruned are all that next lacks of old, and all that differs.
func isPruned(old, next *keystore.Snapshot, pruned []Pruned) bool {
	d := keystore.Compare(old, next)
	changed := d.KeysChanged
	d.KeysChanged = nil
	if !d.Empty() {
		return false
	}
	gone := map[keystore.Digest]string{} // the key of each
	for _, p := range pruned {
		gone[p.Secret.Digest] = p.Key
		if !slices.Contains(changed, p.Key) {
			return false
		}
	}
	for _, id := range changed {
		was, is := old.Key(id), next.Key(id)
		left := slices.DeleteFunc(slices.Clone(was.Secrets()), func(s keystore.Secret) bool { return gone[s.Digest] == id })
		if was.Disabled != is.Disabled || !was.NotBefore().Equal(is.NotBefore()) || !was.OwnNotAfter().Equal(is.OwnNotAfter()) || !slices.EqualFunc(left, is.Secrets(), sameSecret) {
			return false
		}
	}
	return true
}

func sameSecret(a, b keystore.Secret) bool {
	return a.Digest == b.Digest && a.NotBefore().Equal(b.NotBefore()) && a.NotAfter().Equal(b.NotAfter())
}

// removeSecrets removes secrets from a key's list, of which some stay. places are in order.
func (e *editor) removeSecrets(key *yaml.Node, places []int) {
	_, list := field(key, "secrets")
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) <= len(places) {
		e.fail("the secrets of the key in line %d are not written as a list", key.Line)
		return
	}
	items := list.Content
	for len(places) > 0 { // those that stand one after another go together
		first, end := places[0], places[0]
		for len(places) > 0 && places[0] == end {
			places, end = places[1:], end+1
		}
		switch inLine := inBrackets(list); {
		case inLine && end < len(items):
			e.replace(e.begin(items[first]), e.begin(items[end]), "")
		case inLine:
			e.replace(e.end(items[first-1]), e.end(items[end-1]), "")
		default:
			e.dashIndent(items[first]) // fails if something else stands in the line
			e.removeLines(e.lines[items[first].Line-1], e.nextLine(items[end-1]))
		}
	}
}
