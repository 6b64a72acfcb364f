package edit

import (
	"fmt"
	"reflect"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
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

// PublishChatflow returns the key file data in which the chatflow id is open to everybody.
func PublishChatflow(file string, data []byte, id string) ([]byte, error) {
	return setPublic(file, data, id, true, false)
}

// UnpublishChatflow returns the key file data in which the chatflow id is open to its keys alone. If it lists none, its entry is
// removed if closes is set; otherwise that is a [NoKeyError].
func UnpublishChatflow(file string, data []byte, id string, closes bool) ([]byte, error) {
	return setPublic(file, data, id, false, closes)
}

func setPublic(file string, data []byte, id string, public, closes bool) ([]byte, error) {
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
	diff := keystore.Diff{ChatflowsChanged: []string{id}}
	e.step(func() {
		entry := e.entry("chatflows", id)
		_, keys := field(entry, "keys")
		switch {
		case public:
			e.setField(entry, "public", "true")
		case keys != nil && len(strictyaml.Follow(keys).Content) > 0:
			e.removeField(entry, "public", "false")
		case closes:
			diff = keystore.Diff{ChatflowsRemoved: []string{id}}
			e.removeEntry("chatflows", id)
		default:
			e.err = &NoKeyError{File: file, Chatflows: []string{id}, labels: []string{was.Label()}}
		}
	})
	return e.result(func(next *keystore.Snapshot) bool {
		return reflect.DeepEqual(keystore.Compare(old, next), diff) && (diff.ChatflowsRemoved != nil || want.Equal(next.Entry(id)))
	})
}
