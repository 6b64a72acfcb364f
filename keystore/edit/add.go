package edit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
)

// Additions are what to add to a key file.
type Additions struct {
	Keys      []NewKey
	Chatflows []NewChatflow
	// KeysElsewhere are IDs of keys in other files of the directory. The chatflows may list them as well.
	KeysElsewhere []string
	// Names are new names of chatflows that are listed already, by ID.
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
	a.sortOut(old)
	if err := a.fit(old); err != nil {
		return nil, err
	}
	// First change what is in the file, so that the error of a step names a line of the original file; then add what is
	// new.
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
	keys, chatflows := itemsOf(a.Keys, NewKey.fields), itemsOf(a.Chatflows, NewChatflow.fields)
	e.appendItems("keys", keys)
	e.appendItems("chatflows", chatflows)
	return e.result(func(file fields) {
		for _, k := range a.Keys {
			file.grant(k.ID, k.Chatflows)
		}
		for id, name := range a.Names {
			file.entry("chatflows", id)["name"] = name
		}
		file.addItems("keys", keys)
		file.addItems("chatflows", chatflows)
	})
}

// validate checks free text before it becomes part of the file, where "a, b" would be two IDs.
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

// sortOut adds those chatflows that keys are to open but the key file does not list.
func (a *Additions) sortOut(s *keystore.Snapshot) {
	a.Keys = slices.Clone(a.Keys)
	for i, k := range a.Keys {
		var unlisted []string
		a.Keys[i].Chatflows, unlisted = sortOut(s, k.Chatflows)
		for _, id := range unlisted {
			a.Chatflows = append(slices.Clip(a.Chatflows), NewChatflow{ID: id, Keys: []string{k.ID}})
		}
	}
}

// fit returns an error if the key file already has part of the additions, or lacks something that they refer to.
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

// begun returns data, or if it is blank, the beginning of a key file.
func begun(file string, data []byte) []byte {
	switch {
	case len(bytes.TrimSpace(data)) > 0:
		return data
	case keystore.IsJSON(file):
		return []byte("{\n  \"version\": 1\n}\n")
	}
	return append(data, "version: 1\n"...)
}

// itemsOf returns things as items of a list.
func itemsOf[T any](things []T, fields func(T) []newField) (items [][]newField) {
	for _, t := range things {
		items = append(items, fields(t))
	}
	return items
}
