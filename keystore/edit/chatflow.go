package edit

import (
	"fmt"
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

// NameChatflow is [Add] for the name of a chatflow that is listed.
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
	e := newEditor(file, data)
	e.step(func() {
		if public {
			e.setField(e.entry("chatflows", id), "public", "true")
		} else {
			e.removeField(e.entry("chatflows", id), "public", "false")
		}
	})
	return e.result(func(file fields) {
		if public {
			file.entry("chatflows", id)["public"] = "true"
		} else {
			delete(file.entry("chatflows", id), "public")
		}
	})
}
