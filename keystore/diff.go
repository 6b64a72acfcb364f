package keystore

import (
	"cmp"
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

// diff compares two snapshots; old may be nil.
func diff(old, next *Snapshot) Diff {
	if old == nil {
		old = &Snapshot{}
	}
	var d Diff
	d.KeysAdded, d.KeysRemoved, d.KeysChanged = diffByID(old.keys, next.keys, func(k *Key) string { return k.ID }, sameKey)
	d.ChatflowsAdded, d.ChatflowsRemoved, d.ChatflowsChanged = diffByID(old.chatflows, next.chatflows, func(c *Chatflow) string { return c.ID }, sameChatflow)
	return d
}

func diffByID[T any](old, next []T, id func(T) string, same func(a, b T) bool) (added, removed, changed []string) {
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
		slices.CompareFunc(a.keys, b.keys, func(a, b *Key) int { return cmp.Compare(a.ID, b.ID) }) == 0
}
