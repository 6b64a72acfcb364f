package edit

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Additions are what to add to a key file.
type Additions struct {
	Keys      []NewKey
	Chatflows []NewChatflow
	// KeysElsewhere are IDs of keys in other files of the directory, which the chatflows may list as well.
	KeysElsewhere []string
	// Names are names of chatflows that are listed, by their IDs.
	Names map[string]string
}

// Add returns the key file data with additions. Empty data stands for a file that does not exist yet. file is the name to use
// in errors.
func Add(file string, data []byte, a Additions) ([]byte, error) {
	if err := a.validate(); err != nil {
		return nil, err
	}
	data = begun(file, data)
	old, err := keystore.ParsePart(file, data)
	if err != nil {
		return nil, err
	}
	if err := a.fit(old); err != nil {
		return nil, err
	}
	// First what is in the file, so that a step that fails names a line of the original file; then what is new.
	e := newEditor(file, data)
	e.elsewhere = len(a.KeysElsewhere) > 0
	e.step(func() {
		for _, k := range a.Keys {
			e.grant(k.ID, k.Chatflows)
		}
		for id, name := range a.Names {
			e.setField(e.entry("chatflows", id), "name", e.text(name))
		}
	})
	e.appendItems("keys", itemsOf(a.Keys, e.key))
	e.appendItems("chatflows", itemsOf(a.Chatflows, e.chatflow))
	return e.result(func(next *keystore.Snapshot) bool { return a.areAll(old, next) })
}

// validate checks what is free text before it becomes part of another, where "a, b" would be two IDs.
func (a *Additions) validate() error {
	var errs []error
	for i := range a.Keys {
		errs = append(errs, a.Keys[i].validate())
	}
	for _, c := range a.Chatflows {
		errs = append(errs, validateChatflows([]string{c.ID}), keystore.ValidateText("name", c.Name))
	}
	for _, name := range a.Names {
		errs = append(errs, keystore.ValidateText("name", name))
	}
	return errors.Join(errs...)
}

// fit returns an error if the key file has a part of the additions, or lacks what they name.
func (a *Additions) fit(s *keystore.Snapshot) error {
	for _, k := range a.Keys {
		if s.Key(k.ID) != nil {
			return fmt.Errorf("%s: there is a key %q already; choose another ID, or rotate it for a new secret", s.File, k.ID)
		}
	}
	isNew := func(id string) bool { return slices.ContainsFunc(a.Keys, func(k NewKey) bool { return k.ID == id }) }
	for _, c := range a.Chatflows {
		if was := s.Entry(c.ID); was != nil {
			return fmt.Errorf("%s:%d: chatflow %q is listed already", s.File, was.Line, c.ID)
		}
		for _, id := range c.Keys {
			if _, err := s.KeyNamed(id); err != nil && !isNew(id) && !slices.Contains(a.KeysElsewhere, id) {
				return fmt.Errorf("%s: %w", s.File, err)
			}
		}
	}
	for id := range a.Names {
		if _, err := s.EntryNamed(id); err != nil {
			return fmt.Errorf("%s: %w", s.File, err)
		}
	}
	return nil
}

// areAll reports whether the additions are all that differs between old and next.
func (a *Additions) areAll(old, next *keystore.Snapshot) bool {
	d := keystore.Compare(old, next)
	var keys, chatflows []string
	granted := map[string][]string{}
	for _, k := range a.Keys {
		keys = append(keys, k.ID)
		if !k.is(next.Key(k.ID)) {
			return false
		}
		for _, c := range k.Chatflows {
			granted[c] = append(granted[c], k.ID)
		}
	}
	for _, c := range a.Chatflows {
		chatflows = append(chatflows, c.ID)
		if !c.is(next.Entry(c.ID)) {
			return false
		}
	}
	changed := map[string]bool{}
	for id := range granted {
		changed[id] = true
	}
	for id, name := range a.Names {
		changed[id] = changed[id] || old.Entry(id).Name != name
	}
	maps.DeleteFunc(changed, func(_ string, is bool) bool { return !is })
	for id := range changed {
		want := *old.Entry(id)
		if name, ok := a.Names[id]; ok {
			want.Name = name
		}
		if !next.Entry(id).GainedKeys(&want, granted[id]...) {
			return false
		}
	}
	return slices.Equal(d.KeysAdded, keys) && slices.Equal(d.ChatflowsAdded, chatflows) && len(d.ChatflowsChanged) == len(changed) &&
		len(d.KeysRemoved)+len(d.KeysChanged)+len(d.ChatflowsRemoved) == 0
}

// begun returns data, or the beginning of a key file if there is nothing in it.
func begun(file string, data []byte) []byte {
	switch {
	case len(bytes.TrimSpace(data)) > 0:
		return data
	case keystore.IsJSON(file):
		return []byte("{\n  \"version\": 1\n}\n")
	}
	return append(data, "version: 1\n"...)
}

// itemsOf returns things as items of a list, each given as its fields.
func itemsOf[T any](things []T, fields func(T) []string) (items [][]string) {
	for _, t := range things {
		items = append(items, fields(t))
	}
	return items
}

// rfc3339 returns a time as the file has it.
func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
