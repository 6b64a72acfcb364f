package edit

import (
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
	// Chatflows are the IDs of the chatflows it opens. [AddKey] adds those that are not listed yet; for [Add] they must be.
	Chatflows []string
}

// AddKey is [Add] for a key.
func AddKey(file string, data []byte, k NewKey) ([]byte, error) {
	if err := k.validate(); err != nil { // before its IDs become those of chatflows
		return nil, err
	}
	old, err := keystore.ParsePart(file, begun(file, data))
	if err != nil {
		return nil, err
	}
	a := Additions{}
	var unlisted []string
	k.Chatflows, unlisted = sortOut(old, k.Chatflows)
	for _, id := range unlisted {
		a.Chatflows = append(a.Chatflows, NewChatflow{ID: id, Keys: []string{k.ID}})
	}
	a.Keys = []NewKey{k}
	return Add(file, data, a)
}

func (k *NewKey) validate() error {
	return errors.Join(validateKeyID(k.ID), keystore.ValidateText("owner", k.Owner), validateChatflows(k.Chatflows))
}

func validateKeyID(id string) error {
	if err := keystore.ValidateID(id); err != nil {
		return fmt.Errorf("key ID %w", err)
	}
	if keystore.LooksLikeSecret(id) {
		return errors.New("the key ID looks like a secret; choose one that may be read by anybody: it appears in logs and metrics")
	}
	return nil
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

// key returns the fields of a key.
func (e *editor) key(k NewKey) []string {
	fields := []string{e.field("id", e.word(k.ID)), e.field("sha256", e.word(k.Digest.String()))}
	add := func(isSet bool, name, value string) {
		if isSet {
			fields = append(fields, e.field(name, value))
		}
	}
	add(k.Owner != "", "owner", e.text(k.Owner))
	add(!k.NotBefore.IsZero(), "not_before", e.word(rfc3339(k.NotBefore)))
	add(!k.NotAfter.IsZero(), "not_after", e.word(rfc3339(k.NotAfter)))
	add(k.Honey, "honey", "true")
	if !k.Limits.Empty() {
		add(true, "limits", e.limits(k.Limits))
	}
	return fields
}

// is reports whether a key is as k says.
func (k *NewKey) is(made *keystore.Key) bool {
	return made != nil && made.Secrets()[0].Digest == k.Digest && made.Owner == k.Owner && made.Honey == k.Honey && !made.Disabled &&
		(k.Limits.Empty() && made.Limits.Empty() || reflect.DeepEqual(made.Limits, k.Limits))
}
