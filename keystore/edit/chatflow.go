package edit

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
)

// NewChatflow is a chatflow to add to a key file.
type NewChatflow struct {
	ID   string
	Name string // empty: none
	// Keys are the IDs of the keys that open it. Without one it must be public.
	Keys   []string
	Public bool
	// Forward says that the upstream gets the client's key.
	Forward bool
}

// AddChatflow returns the key file data with one more chatflow.
func AddChatflow(file string, data []byte, c NewChatflow) ([]byte, error) {
	if err := validateChatflows([]string{c.ID}); err != nil {
		return nil, err
	}
	data = begun(file, data)
	old, err := keystore.ParseDraft(file, data)
	if err != nil {
		return nil, err
	}
	if was := old.Entry(c.ID); was != nil {
		return nil, fmt.Errorf("%s:%d: chatflow %q is listed already", file, was.Line, c.ID)
	}
	for _, id := range c.Keys {
		if _, err := old.KeyNamed(id); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	e := newEditor(file, data)
	item := []string{e.field("id", e.word(c.ID))}
	if c.Name != "" {
		item = append(item, e.field("name", e.text(c.Name)))
	}
	if len(c.Keys) > 0 {
		item = append(item, e.field("keys", e.list(c.Keys)))
	}
	if c.Public {
		item = append(item, e.field("public", "true"))
	}
	if c.Forward {
		item = append(item, e.field("upstream_authorization", e.word("forward")))
	}
	e.step(func() { e.appendItem("chatflows", item) })
	return e.result(func(next *keystore.Snapshot) bool {
		if !reflect.DeepEqual(keystore.Compare(old, next), keystore.Diff{ChatflowsAdded: []string{c.ID}}) {
			return false
		}
		var keys []string
		made := next.Entry(c.ID)
		for _, k := range made.Keys() {
			keys = append(keys, k.ID)
		}
		return made.Name == c.Name && made.Public == c.Public && slices.Equal(keys, slices.Sorted(slices.Values(c.Keys)))
	})
}

// NameChatflow returns the key file data in which the chatflow id has a name.
func NameChatflow(file string, data []byte, id, name string) ([]byte, error) {
	return editChatflow(file, data, id, func(e *editor, c *keystore.Chatflow) {
		e.setField(e.entry("chatflows", id), "name", e.text(name))
		c.Name = name
	})
}

// PublishChatflow returns the key file data in which the chatflow id is open to everybody, or only to its keys again.
func PublishChatflow(file string, data []byte, id string, public bool) ([]byte, error) {
	return editChatflow(file, data, id, func(e *editor, c *keystore.Chatflow) {
		if public {
			e.setField(e.entry("chatflows", id), "public", "true")
		} else {
			e.removeField(e.entry("chatflows", id), "public", "false")
		}
		c.Public = public
	})
}

// editChatflow returns the key file data with a change of one chatflow, which it makes to want as well.
func editChatflow(file string, data []byte, id string, change func(e *editor, want *keystore.Chatflow)) ([]byte, error) {
	old, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	was, err := old.EntryNamed(id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	e, want := newEditor(file, data), *was
	e.step(func() { change(e, &want) })
	if want.Equal(was) {
		return data, nil
	}
	return e.result(func(next *keystore.Snapshot) bool {
		return reflect.DeepEqual(keystore.Compare(old, next), keystore.Diff{ChatflowsChanged: []string{id}}) && want.Equal(next.Entry(id))
	})
}
