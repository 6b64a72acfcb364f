package edit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// NewKey is a key to add to a key file.
type NewKey struct {
	ID        string
	Digest    keystore.Digest
	Owner     string    // empty: none
	NotBefore time.Time // zero: none
	NotAfter  time.Time // zero: none
	// Limits are how much the key may be used; nil means no limit.
	Limits *keystore.Limits
	// Honey says that the key is planted for thieves, and opens nothing.
	Honey bool
	// Chatflows are the IDs of the chatflows it opens. Those that are not listed yet are added.
	Chatflows []string
}

// AddKey is [Add] for a key.
func AddKey(file string, data []byte, k NewKey) ([]byte, error) {
	return Add(file, data, Additions{Keys: []NewKey{k}})
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

// fields returns the fields of a key in the order in which they are written.
func (k NewKey) fields() []newField {
	return []newField{
		{"id", word(k.ID)},
		{"sha256", word(k.Digest.String())},
		{"owner", k.Owner},
		{"not_before", timeWord(k.NotBefore)},
		{"not_after", timeWord(k.NotAfter)},
		{"honey", k.Honey},
		{"limits", limitFields(k.Limits)},
	}
}

// timeWord returns a time as the file has it; nothing for the zero time.
func timeWord(t time.Time) word {
	if t.IsZero() {
		return ""
	}
	return word(t.UTC().Format(time.RFC3339))
}

// limitFields returns the fields of limits in the order in which they are written.
func limitFields(l *keystore.Limits) []newField {
	if l.Empty() {
		return nil
	}
	amounts := map[keystore.Unit][]string{}
	for _, r := range l.Rates {
		amounts[keystore.Requests] = append(amounts[keystore.Requests], r.String())
	}
	for _, q := range l.Quotas {
		amounts[q.Unit] = append(amounts[q.Unit], q.String())
	}
	list := []newField{{"requests", amounts[keystore.Requests]}, {"concurrent", l.Concurrent}}
	if l.Stream > 0 {
		list = append(list, newField{"stream", word(l.Stream.String())})
	}
	list = append(list, newField{"stream_seconds", amounts[keystore.StreamSeconds]}, newField{"bytes", amounts[keystore.Bytes]})
	if l.Observe {
		list = append(list, newField{"enforce", literal("false")})
	}
	return list
}
