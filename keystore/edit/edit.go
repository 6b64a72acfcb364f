// Package edit changes the text of a key file. What is not changed keeps every byte, including comments and layout; only
// a last line of YAML without a line break gets one. The result is parsed before it is returned, and may differ only in
// what was asked for. What a key file means is left to package keystore.
//
// The edits are functions from text to text. [File] applies one to a file, so that others see the change at once and as a
// whole.
package edit

import (
	"fmt"

	"github.com/flowlatch/flowlatch/keystore"
)

// DisableKey returns the key file data with the key id disabled; data is nil if there is no file. The key stays in the
// file, so that logs still name it and nobody else gets its ID by mistake.
func DisableKey(file string, data []byte, id string) ([]byte, error) {
	if _, err := enabledKey(file, data, id, " already"); err != nil {
		return nil, err
	}
	e := newEditor(file, data)
	e.step(func() { e.setField(e.entry("keys", id), "disabled", "true") })
	return e.result(func(file fields) { file.entry("keys", id)["disabled"] = "true" })
}

// EnableKey returns the key file data with the key id enabled, as it was before [DisableKey].
func EnableKey(file string, data []byte, id string) ([]byte, error) {
	_, k, err := keyOf(file, data, id)
	if err != nil {
		return nil, err
	}
	if !k.Disabled {
		return nil, fmt.Errorf("%s:%d: key %q is not disabled", file, k.Line, id)
	}
	e := newEditor(file, data)
	e.step(func() { e.removeField(e.entry("keys", id), "disabled", "false") })
	return e.result(func(file fields) { delete(file.entry("keys", id), "disabled") })
}

// enabledKey returns the key id in the key file. If the key is disabled, that is an error whose text ends with
// ifDisabled.
func enabledKey(file string, data []byte, id, ifDisabled string) (*keystore.Key, error) {
	_, k, err := keyOf(file, data, id)
	if err == nil && k.Disabled {
		return nil, fmt.Errorf("%s:%d: key %q is disabled%s", file, k.Line, id, ifDisabled)
	}
	return k, err
}

// keyOf returns what the key file means, and the key id in it.
func keyOf(file string, data []byte, id string) (*keystore.Snapshot, *keystore.Key, error) {
	s, err := Parse(file, data)
	if err != nil {
		return nil, nil, err
	}
	k, err := keyNamed(s, file, id)
	return s, k, err
}

// keyNamed returns the key id of the key file that s was read from.
func keyNamed(s *keystore.Snapshot, file, id string) (*keystore.Key, error) {
	k, err := s.KeyNamed(id)
	switch name := s.FlowiseKeys(); {
	case err != nil && name != "":
		return nil, fmt.Errorf("%s: %w; the keys in %s (flowise_api_keys) are changed in Flowise", file, err, name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return k, nil
}
