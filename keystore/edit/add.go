package edit

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// NewKey is a key to add to a key file.
type NewKey struct {
	ID        string
	Digest    keystore.Digest
	Owner     string    // empty: none is told
	NotBefore time.Time // zero: none
	NotAfter  time.Time // zero: none
	// Limits are how much it may be used; nil means without limit.
	Limits *keystore.Limits
	// Honey says that the key is planted for thieves, and opens nothing.
	Honey bool
	// Chatflows are the IDs of the chatflows it opens; those not listed yet are added.
	Chatflows []string
}

// validate checks what is free text before it becomes part of another, where "a, b" would be two IDs.
func (k *NewKey) validate() error {
	var errs []error
	if err := keystore.ValidateID(k.ID); err != nil {
		errs = append(errs, fmt.Errorf("key ID %w", err))
	} else if keystore.LooksLikeSecret(k.ID) {
		errs = append(errs, errors.New("the key ID looks like a secret; choose one that may be read by anybody: it appears in logs and metrics"))
	}
	if k.Owner != "" {
		errs = append(errs, keystore.ValidateOwner(k.Owner))
	}
	return errors.Join(append(errs, validateChatflows(k.Chatflows))...)
}

func validateChatflows(ids []string) error {
	var errs []error
	for _, id := range ids {
		if err := keystore.ValidateID(id); err != nil && id != keystore.EveryChatflow {
			errs = append(errs, fmt.Errorf("chatflow ID %w", err))
		}
	}
	return errors.Join(errs...)
}

// AddKey returns the key file data with one more key. Empty data stands for a file that does not
// exist yet. file is the name to use in errors.
func AddKey(file string, data []byte, k NewKey) ([]byte, error) {
	if err := k.validate(); err != nil {
		return nil, err
	}
	data = begun(file, data)
	old, err := keystore.ParseDraft(file, data)
	if err != nil {
		return nil, err
	}
	if old.Key(k.ID) != nil {
		return nil, fmt.Errorf("%s: there is a key %q already; choose another ID, or give it a new secret with `flowlatch key rotate`", file, k.ID)
	}
	e := newEditor(file, data)
	item := []string{e.field("id", e.word(k.ID)), e.field("sha256", e.word(k.Digest.String()))}
	add := func(isSet bool, name, value string) {
		if isSet {
			item = append(item, e.field(name, value))
		}
	}
	add(k.Owner != "", "owner", e.text(k.Owner))
	add(!k.NotBefore.IsZero(), "not_before", e.word(k.NotBefore.UTC().Format(time.RFC3339)))
	add(!k.NotAfter.IsZero(), "not_after", e.word(k.NotAfter.UTC().Format(time.RFC3339)))
	add(k.Honey, "honey", "true")
	if !k.Limits.Empty() {
		add(true, "limits", e.limits(k.Limits))
	}
	// First what is in the file, so that a step that fails names a line of the original file; then what is new.
	listed, added := sortOut(old, k.Chatflows)
	e.grant(k.ID, listed)
	e.step(func() { e.appendItem("keys", item) })
	e.addChatflows(k.ID, added)
	return e.result(func(next *keystore.Snapshot) bool {
		d := keystore.Compare(old, next)
		return slices.Equal(d.KeysAdded, []string{k.ID}) && len(d.KeysRemoved)+len(d.KeysChanged) == 0 &&
			isGranted(d, old, next, k.ID, k.Chatflows) && k.is(next.Key(k.ID))
	})
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

// is reports whether a key is as k says.
func (k *NewKey) is(made *keystore.Key) bool {
	return made.Secrets()[0].Digest == k.Digest && made.Owner == k.Owner && made.Honey == k.Honey && !made.Disabled &&
		(k.Limits.Empty() && made.Limits.Empty() || reflect.DeepEqual(made.Limits, k.Limits))
}

// sortOut returns which chatflows the key file lists and which it does not, each once.
func sortOut(s *keystore.Snapshot, ids []string) (listed, unlisted []string) {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if s.Entry(id) != nil {
			listed = append(listed, id)
		} else {
			unlisted = append(unlisted, id)
		}
	}
	return listed, unlisted
}
