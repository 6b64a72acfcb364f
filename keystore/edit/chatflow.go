package edit

import (
	"fmt"
	"reflect"

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

// AddChatflow is [Add] for a chatflow.
func AddChatflow(file string, data []byte, c NewChatflow) ([]byte, error) {
	return Add(file, data, Additions{Chatflows: []NewChatflow{c}})
}

// NameChatflow is [Add] for the name of a chatflow that is listed.
func NameChatflow(file string, data []byte, id, name string) ([]byte, error) {
	return Add(file, data, Additions{Names: map[string]string{id: name}})
}

// chatflow returns the fields of a chatflow.
func (e *editor) chatflow(c NewChatflow) []string {
	fields := []string{e.field("id", e.word(c.ID))}
	if c.Name != "" {
		fields = append(fields, e.field("name", e.text(c.Name)))
	}
	if len(c.Keys) > 0 {
		fields = append(fields, e.field("keys", e.list(c.Keys)))
	}
	if c.Public {
		fields = append(fields, e.field("public", "true"))
	}
	if c.Forward {
		fields = append(fields, e.field("upstream_authorization", e.word("forward")))
	}
	return fields
}

// is reports whether a chatflow is as c says.
func (c *NewChatflow) is(made *keystore.Chatflow) bool {
	if made == nil {
		return false
	}
	want := keystore.Chatflow{ID: c.ID, Name: c.Name, Public: c.Public}
	if c.Forward {
		want.UpstreamAuthorization.Mode = keystore.UpstreamForward
	}
	return made.GainedKeys(&want, c.Keys...)
}

// PublishChatflow returns the key file data in which the chatflow id is open to everybody, or only to its keys again.
func PublishChatflow(file string, data []byte, id string, public bool) ([]byte, error) {
	old, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	was, err := old.EntryNamed(id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if was.Public == public {
		return data, nil
	}
	e, want := newEditor(file, data), *was
	want.Public = public
	e.step(func() {
		if public {
			e.setField(e.entry("chatflows", id), "public", "true")
		} else {
			e.removeField(e.entry("chatflows", id), "public", "false")
		}
	})
	return e.result(func(next *keystore.Snapshot) bool {
		return reflect.DeepEqual(keystore.Compare(old, next), keystore.Diff{ChatflowsChanged: []string{id}}) && want.Equal(next.Entry(id))
	})
}
