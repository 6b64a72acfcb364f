package console

import (
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
)

// states says, by key ID, why keys cannot be used now, such as "disabled". A key that is listed for a chatflow need not
// be able to call it.
type states map[string]string

// statesOf returns the states of the keys that chatflows list.
func (c *Console) statesOf(f *file, chatflows ...string) states {
	s, now := states{}, c.proxy.Now()
	for _, id := range chatflows {
		entry := f.snapshot.Entry(id)
		if entry == nil {
			continue
		}
		for _, k := range entry.Keys() {
			if v := k.Validity(now); v != keystore.Valid {
				s[k.ID] = strings.ReplaceAll(v.String(), "_", " ")
			}
		}
	}
	return s
}

// State returns why a key cannot be used now; empty if it can.
func (s states) State(id string) string { return s[id] }

// listed is a key as the page of a chatflow lists it.
type listed struct{ ID, State string }

// Listed returns a key as the page of a chatflow lists it.
func (s states) Listed(id string) listed { return listed{id, s[id]} }

// everyKeys returns the IDs of the keys that open every chatflow.
func (f *file) everyKeys() (ids []string) {
	entry := f.snapshot.Entry(keystore.EveryChatflow)
	if entry == nil {
		return nil
	}
	for _, k := range entry.Keys() {
		ids = append(ids, k.ID)
	}
	return ids
}
