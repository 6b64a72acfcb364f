// Package edit changes the text of a key file: what is not changed keeps every byte, comments and layout included;
// only a last line without a line break gets one. What came out is parsed before it is returned, and must differ in
// what was asked for alone. What a key file means it leaves to package keystore.
package edit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// NewKey is a key to add to a key file.
type NewKey struct {
	ID        string
	Digest    keystore.Digest
	NotBefore time.Time // zero: none
	NotAfter  time.Time // zero: none
	// Chatflows are the IDs of the chatflows it opens; those not listed yet are added.
	Chatflows []string
}

// validate checks the IDs before they become part of a text, where "a, b" would be two.
func (k *NewKey) validate() error {
	var errs []error
	if err := keystore.ValidateID(k.ID); err != nil {
		errs = append(errs, fmt.Errorf("key ID %w", err))
	} else if keystore.LooksLikeSecret(k.ID) {
		errs = append(errs, errors.New("the key ID looks like a secret; choose one that may be read by anybody: it appears in logs and metrics"))
	}
	for _, c := range k.Chatflows {
		if err := keystore.ValidateID(c); err != nil && c != keystore.EveryChatflow {
			errs = append(errs, fmt.Errorf("chatflow ID %w", err))
		}
	}
	return errors.Join(errs...)
}

// AddKey returns the key file data with one more key. Empty data stands for a file that does not
// exist yet. file is the name to use in errors.
func AddKey(file string, data []byte, k NewKey) ([]byte, error) {
	if err := errors.Join(CheckName(file), k.validate()); err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = append(data, "version: 1\n"...)
	}
	old, err := keystore.ParseDraft(file, data)
	if err != nil {
		return nil, err
	}
	if old.Key(k.ID) != nil {
		return nil, fmt.Errorf("%s: there is a key %q already; choose another ID, or give it a new secret with `flowlatch key rotate`", file, k.ID)
	}
	e := newEditor(file, data)
	item := []string{"id: " + word(k.ID), "sha256: " + k.Digest.String()}
	if !k.NotBefore.IsZero() {
		item = append(item, "not_before: "+k.NotBefore.UTC().Format(time.RFC3339))
	}
	if !k.NotAfter.IsZero() {
		item = append(item, "not_after: "+k.NotAfter.UTC().Format(time.RFC3339))
	}
	// First what is in the file, from the bottom up, so that a step that fails names a line of the
	// original file; then what is new.
	var listed, added []string
	for _, c := range slices.Compact(slices.Sorted(slices.Values(k.Chatflows))) {
		if old.Entry(c) != nil {
			listed = append(listed, c)
		} else {
			added = append(added, c)
		}
	}
	slices.SortStableFunc(listed, func(a, b string) int { return old.Entry(b).Line - old.Entry(a).Line })
	for _, c := range listed {
		e.step(func() { e.addToList(e.entry("chatflows", c), "keys", word(k.ID)) })
	}
	e.step(func() { e.appendItem("keys", item) })
	for _, c := range added {
		e.step(func() { e.appendItem("chatflows", []string{"id: " + word(c), "keys: [" + word(k.ID) + "]"}) })
	}
	return e.result(func(next *keystore.Snapshot) bool { return k.isAll(old, next) })
}

// isAll reports whether k and its chatflows are all that differs between old and next.
func (k *NewKey) isAll(old, next *keystore.Snapshot) bool {
	d := keystore.Compare(old, next)
	for _, id := range slices.Concat(d.ChatflowsAdded, d.ChatflowsChanged) {
		if !slices.Contains(k.Chatflows, id) || !next.Entry(id).GainedKey(old.Entry(id), k.ID) {
			return false
		}
	}
	return slices.Equal(d.KeysAdded, []string{k.ID}) && len(d.KeysRemoved)+len(d.KeysChanged)+len(d.ChatflowsRemoved) == 0 &&
		next.Key(k.ID).Secrets()[0].Digest == k.Digest
}

// DisableKey returns the key file data, nil if there is no file, with the key id disabled. The key stays in the file, so
// that logs go on to name it and nobody else gets its ID by mistake.
func DisableKey(file string, data []byte, id string) ([]byte, error) {
	old, _, err := enabledKey(file, data, id, " already")
	if err != nil {
		return nil, err
	}
	e := newEditor(file, data)
	e.step(func() { e.setField(e.entry("keys", id), "disabled", "true") })
	return e.result(func(next *keystore.Snapshot) bool {
		return changesOnly(id, old, next) && next.Key(id).Disabled
	})
}

// enabledKey returns what the key file means, and the key id in it. That it is disabled is an error, which says
// what follows from that.
func enabledKey(file string, data []byte, id, ifDisabled string) (*keystore.Snapshot, *keystore.Key, error) {
	s, err := parse(file, data)
	if err != nil {
		return nil, nil, err
	}
	k, err := s.KeyNamed(id)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	case k.Disabled:
		return nil, nil, fmt.Errorf("%s:%d: key %q is disabled%s", file, k.Line, id, ifDisabled)
	}
	return s, k, nil
}

// parse returns what the key file data means; nil is a file that does not exist.
func parse(file string, data []byte) (*keystore.Snapshot, error) {
	if err := CheckName(file); err != nil {
		return nil, err
	}
	if data == nil {
		return nil, keystore.ReadError(file, fs.ErrNotExist)
	}
	return keystore.Parse(file, data)
}

// CheckName returns an error if the key file with this name is JSON, which cannot be edited.
func CheckName(file string) error {
	if keystore.IsJSON(file) {
		return fmt.Errorf("%s: flowlatch edits key files in YAML only, and this one is JSON; change it with the program that writes it (`flowlatch key new --keys NEW.yaml` makes a secret, and a digest to put there)", file)
	}
	return nil
}

// changesOnly reports whether old and next differ in the key id and nothing else.
func changesOnly(id string, old, next *keystore.Snapshot) bool {
	return reflect.DeepEqual(keystore.Compare(old, next), keystore.Diff{KeysChanged: []string{id}})
}
