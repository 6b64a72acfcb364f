package keystore

import (
	"fmt"
	"reflect"
	"slices"
)

// Diff is what differs between two snapshots, by ID.
type Diff struct {
	KeysAdded        []string `json:"keys_added,omitempty"`
	KeysRemoved      []string `json:"keys_removed,omitempty"`
	KeysChanged      []string `json:"keys_changed,omitempty"`
	ChatflowsAdded   []string `json:"chatflows_added,omitempty"`
	ChatflowsRemoved []string `json:"chatflows_removed,omitempty"`
	ChatflowsChanged []string `json:"chatflows_changed,omitempty"`
}

func (d *Diff) lists() []*[]string {
	return []*[]string{&d.KeysAdded, &d.KeysRemoved, &d.KeysChanged, &d.ChatflowsAdded, &d.ChatflowsRemoved, &d.ChatflowsChanged}
}

// Empty reports whether nothing differs but comments and layout.
func (d Diff) Empty() bool {
	return !slices.ContainsFunc(d.lists(), func(ids *[]string) bool { return len(*ids) > 0 })
}

// shortened returns d to be kept and shown: a long list has only its first IDs and the number of the others.
func (d Diff) shortened() Diff {
	for _, ids := range d.lists() {
		if n := len(*ids); n > shortList {
			*ids = append(slices.Clone((*ids)[:shortList]), fmt.Sprintf("… and %d more", n-shortList))
		}
	}
	return d
}

// shortList is how many items of a list are kept.
const shortList = 50

// Compare returns what differs between two snapshots. A nil snapshot is empty.
func Compare(old, next *Snapshot) Diff {
	d, _ := compare(old, next)
	return d
}

// compare is [Compare], and also reports whether next lacks something that old has.
func compare(old, next *Snapshot) (d Diff, loses bool) {
	if old == nil {
		old = &Snapshot{}
	}
	var losesKeys, losesChatflows bool
	d.KeysAdded, d.KeysRemoved, d.KeysChanged, losesKeys = differ(old.keys, next.keys, keyID, sameKey, losesOfKey)
	d.ChatflowsAdded, d.ChatflowsRemoved, d.ChatflowsChanged, losesChatflows = differ(old.chatflows, next.chatflows, chatflowID, sameChatflow, losesOfChatflow)
	return d, losesKeys || losesChatflows
}

// differ returns the IDs of what differs between two lists, and whether next lacks something that old has.
func differ[T any](old, next []*T, id func(*T) string, same, losesOf func(was, is *T) bool) (added, removed, changed []string, loses bool) {
	if len(old) == 0 {
		added = slices.Grow(added, len(next))
	}
	pairs(old, next, id, func(was, is *T) {
		switch {
		case was == nil:
			added = append(added, id(is))
			return
		case is == nil:
			removed = append(removed, id(was))
		case !same(was, is):
			changed = append(changed, id(is))
		}
		loses = loses || is == nil || losesOf(was, is)
	})
	return added, removed, changed, loses
}

// date sets for each key the generation in which it last changed: this one, or the one it has in old if it is the same
// there. old may be nil.
func (s *Snapshot) date(old *Snapshot, generation uint64) {
	if old == nil {
		old = &Snapshot{}
	}
	pairs(old.keys, s.keys, keyID, func(was, is *Key) {
		switch {
		case is == nil:
		case was != nil && sameKey(was, is):
			is.since = was.since
		default:
			is.since = uint32(generation) //nolint:gosec // at one reload a second it overflows after 136 years
		}
	})
}

func keyID(k *Key) string           { return k.ID }
func chatflowID(c *Chatflow) string { return c.ID }

// pairs calls each with the two items that have the same ID in old and in next. If only one list has the ID, the other
// item is nil.
func pairs[T any](old, next []*T, id func(*T) string, each func(was, is *T)) {
	for len(old) > 0 && len(next) > 0 && id(old[0]) == id(next[0]) { // most files change little
		each(old[0], next[0])
		old, next = old[1:], next[1:]
	}
	before := make(map[string]*T, len(old))
	for _, v := range old {
		before[id(v)] = v
	}
	for _, v := range next {
		each(before[id(v)], v)
		delete(before, id(v))
	}
	for _, v := range old {
		if before[id(v)] != nil {
			each(v, nil)
		}
	}
}

// sameKey reports whether two keys are the same except for their places in the file.
func sameKey(a, b *Key) bool {
	return a.Owner == b.Owner && a.Disabled == b.Disabled && a.Honey == b.Honey && a.fromFlowise == b.fromFlowise && a.valid == b.valid &&
		same(a.Limits, b.Limits) && same(a.Browser, b.Browser) && slices.Equal(a.From, b.From) && slices.Equal(a.Groups, b.Groups) &&
		slices.EqualFunc(a.secrets, b.secrets, func(a, b Secret) bool { return a.Digest == b.Digest && a.valid == b.valid })
}

// same reports whether a and b, which may be nil, have the same content.
func same[T any](a, b *T) bool { return a == b || reflect.DeepEqual(a, b) }

// losesOfKey reports whether b lacks something that a has, such as a secret, `disabled`, a limit on its use, or something
// that its browser tokens may do. Disabling a key, or letting it expire earlier, is no loss.
func losesOfKey(a, b *Key) bool {
	return a.Disabled && !b.Disabled || a.Honey && !b.Honey || a.Owner != "" && b.Owner == "" || len(b.secrets) < len(a.secrets) || b.valid.lacks(a.valid) || b.Limits.lacks(a.Limits) || b.Browser.lacks(a.Browser) ||
		len(a.From) > 0 && len(b.From) == 0 || len(a.Groups) > 0 && len(b.Groups) == 0 ||
		slices.ContainsFunc(a.secrets, func(s Secret) bool {
			i := slices.IndexFunc(b.secrets, func(t Secret) bool { return t.Digest == s.Digest })
			return i < 0 || b.secrets[i].valid.lacks(s.valid)
		})
}

// lacks reports whether w lacks a limit that o has.
func (w window) lacks(o window) bool {
	return o.from != always.from && w.from == always.from || o.until != always.until && w.until == always.until
}

func sameChatflow(a, b *Chatflow) bool {
	return a.Name == b.Name && a.Public == b.Public && a.UpstreamAuthorization == b.UpstreamAuthorization &&
		same(a.Limits, b.Limits) && same(a.ClientLimits, b.ClientLimits) && a.AbortOnDisconnect == b.AbortOnDisconnect &&
		a.Body.JSONOnly == b.Body.JSONOnly && slices.Equal(a.Body.Deny, b.Body.Deny) &&
		slices.EqualFunc(a.keys, b.keys, func(a, b *Key) bool { return a.ID == b.ID })
}

// losesOfChatflow reports whether b lacks something that a has.
func losesOfChatflow(a, b *Chatflow) bool {
	return a.Public && !b.Public || a.Name != "" && b.Name == "" ||
		a.UpstreamAuthorization.Mode != UpstreamDefault && b.UpstreamAuthorization.Mode == UpstreamDefault ||
		a.AbortOnDisconnect && !b.AbortOnDisconnect || b.Body.lacks(a.Body) || b.Limits.lacks(a.Limits) || b.ClientLimits.lacks(a.ClientLimits) ||
		slices.ContainsFunc(a.keys, func(k *Key) bool { return !b.ListsID(k.ID) })
}
