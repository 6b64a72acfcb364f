package keystore

import (
	"cmp"
	"fmt"
	"slices"
)

// Diff is what differs between two snapshots, by ID.
type Diff struct {
	KeysAdded, KeysRemoved, KeysChanged                []string
	ChatflowsAdded, ChatflowsRemoved, ChatflowsChanged []string
}

// Empty reports whether nothing differs but comments and layout.
func (d Diff) Empty() bool {
	return len(d.KeysAdded)+len(d.KeysRemoved)+len(d.KeysChanged)+
		len(d.ChatflowsAdded)+len(d.ChatflowsRemoved)+len(d.ChatflowsChanged) == 0
}

// shortened returns d with lists that can be kept and shown: of a long one, the beginning and how many
// more there are.
func (d Diff) shortened() Diff {
	const most = 50
	for _, ids := range []*[]string{&d.KeysAdded, &d.KeysRemoved, &d.KeysChanged, &d.ChatflowsAdded, &d.ChatflowsRemoved, &d.ChatflowsChanged} {
		if n := len(*ids); n > most {
			*ids = append(slices.Clone((*ids)[:most]), fmt.Sprintf("… and %d more", n-most))
		}
	}
	return d
}

// Compare returns what differs between two snapshots. A nil snapshot is empty.
func Compare(old, next *Snapshot) Diff {
	d, _ := compare(old, next)
	return d
}

// compare is diff, and reports whether next may be old with its end cut off: something is gone from it.
func compare(old, next *Snapshot) (d Diff, cut bool) {
	if old == nil {
		old = &Snapshot{}
	}
	d.KeysAdded, d.KeysRemoved, d.KeysChanged = diffByID(old.keys, next.keys, func(k *Key) string { return k.ID }, func(a, b *Key) bool {
		cut = cut || cutKey(a, b)
		return sameKey(a, b)
	})
	d.ChatflowsAdded, d.ChatflowsRemoved, d.ChatflowsChanged = diffByID(old.chatflows, next.chatflows, func(c *Chatflow) string { return c.ID }, func(a, b *Chatflow) bool {
		cut = cut || cutChatflow(a, b)
		return sameChatflow(a, b)
	})
	return d, cut || len(d.KeysRemoved)+len(d.ChatflowsRemoved) > 0
}

// cutKey reports whether b lacks something that a has: a secret, or what limits it. To disable a key or
// to end it earlier takes nothing away.
func cutKey(a, b *Key) bool {
	return a.Disabled && !b.Disabled || len(b.secrets) < len(a.secrets) || wider(a.valid, b.valid) ||
		slices.ContainsFunc(a.secrets, func(s Secret) bool {
			i := slices.IndexFunc(b.secrets, func(t Secret) bool { return t.Digest == s.Digest })
			return i < 0 || wider(s.valid, b.secrets[i].valid)
		})
}

// wider reports whether b lacks a limit that a has.
func wider(a, b window) bool {
	return a.from != always.from && b.from == always.from || a.until != always.until && b.until == always.until
}

// cutChatflow reports whether b lacks something that a has.
func cutChatflow(a, b *Chatflow) bool {
	return a.Public && !b.Public || a.Name != "" && b.Name == "" ||
		a.UpstreamAuthorization.Mode != UpstreamDefault && b.UpstreamAuthorization.Mode == UpstreamDefault ||
		a.Body.lacks(b.Body) ||
		slices.ContainsFunc(a.keys, func(k *Key) bool { return !b.hasID(k.ID) })
}

// date notes in which generation each key became as it is: that of s, or an older one for what was the same
// in old, which may be nil.
func (s *Snapshot) date(old *Snapshot, generation uint64) {
	for _, k := range s.keys {
		k.since = uint32(generation) //nolint:gosec // at one reload a second, after 136 years
	}
	if old == nil {
		return
	}
	diffByID(old.keys, s.keys, func(k *Key) string { return k.ID }, func(was, is *Key) bool {
		if sameKey(was, is) {
			is.since = was.since
		}
		return true
	})
}

func diffByID[T any](old, next []T, id func(T) string, same func(a, b T) bool) (added, removed, changed []string) {
	for len(old) > 0 && len(next) > 0 && id(old[0]) == id(next[0]) { // most files change little
		if !same(old[0], next[0]) {
			changed = append(changed, id(next[0]))
		}
		old, next = old[1:], next[1:]
	}
	before := make(map[string]T, len(old))
	for _, v := range old {
		before[id(v)] = v
	}
	for _, v := range next {
		was, ok := before[id(v)]
		switch {
		case !ok:
			added = append(added, id(v))
		case !same(was, v):
			changed = append(changed, id(v))
		}
		delete(before, id(v))
	}
	for _, v := range old {
		if _, gone := before[id(v)]; gone {
			removed = append(removed, id(v))
		}
	}
	return added, removed, changed
}

func sameKey(a, b *Key) bool {
	return a.Disabled == b.Disabled && a.Flowise == b.Flowise && a.valid == b.valid && slices.EqualFunc(a.secrets, b.secrets, func(a, b Secret) bool {
		return a.Digest == b.Digest && a.valid == b.valid
	})
}

func sameChatflow(a, b *Chatflow) bool {
	return a.Name == b.Name && a.Public == b.Public && a.UpstreamAuthorization == b.UpstreamAuthorization &&
		a.Body.equal(b.Body) &&
		slices.CompareFunc(a.keys, b.keys, func(a, b *Key) int { return cmp.Compare(a.ID, b.ID) }) == 0
}

// GainedKey reports whether c is old with key id in its list as well, and nothing else.
func (c *Chatflow) GainedKey(old *Chatflow, id string) bool {
	without := *c
	without.keys = slices.DeleteFunc(slices.Clone(c.keys), func(k *Key) bool { return k.ID == id })
	return c.hasID(id) && sameChatflow(old, &without)
}
