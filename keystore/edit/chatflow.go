package edit

import (
	"fmt"

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

// NameChatflow is [Add] for a new name of a chatflow that is listed.
func NameChatflow(file string, data []byte, id, name string) ([]byte, error) {
	return Add(file, data, Additions{Names: map[string]string{id: name}})
}

// fields returns the fields of a chatflow in the order in which they are written.
func (c NewChatflow) fields() []newField {
	var authorization word
	if c.Forward {
		authorization = "forward"
	}
	return []newField{{"id", word(c.ID)}, {"name", c.Name}, {"keys", c.Keys}, {"public", c.Public}, {"upstream_authorization", authorization}}
}

// PublishChatflow returns the key file data with the chatflow id open to everybody.
func PublishChatflow(file string, data []byte, id string) ([]byte, error) {
	return setPublic(file, data, id, true, false)
}

// UnpublishChatflow returns the key file data with the chatflow id open only to its keys. If it lists none, its entry is
// removed if closes is set; otherwise it is a [NoKeyError].
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
	e, removed := newEditor(file, data), false
	e.step(func() {
		entry := e.entry("chatflows", id)
		_, keys := field(entry, "keys")
		switch {
		case public:
			e.setField(entry, "public", "true")
		case keys != nil && len(strictyaml.Follow(keys).Content) > 0:
			e.removeField(entry, "public", "false")
		case closes:
			removed = true
			e.removeEntry("chatflows", id)
		default:
			e.err = &NoKeyError{File: file, Chatflows: []string{id}, labels: []string{was.Label()}}
		}
	})
	return e.result(func(file fields) {
		switch {
		case public:
			file.entry("chatflows", id)["public"] = "true"
		case removed:
			file.removeEntries("chatflows", func(of string, _ fields) bool { return of == id })
		default:
			delete(file.entry("chatflows", id), "public")
		}
	})
}
