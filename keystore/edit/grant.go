package edit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// GrantKey returns the key file data with the key id listed for chatflows; those not in the file yet are added. If they
// all list it already, data is returned as it is.
func GrantKey(file string, data []byte, id string, chatflows []string) ([]byte, error) {
	if err := validateChatflows(chatflows); err != nil {
		return nil, err
	}
	if data == nil {
		_, err := Parse(file, data)
		return nil, err
	}
	old, err := keystore.ParsePart(file, data)
	if err != nil {
		return nil, err
	}
	if _, err := keyNamed(old, file, id); err != nil {
		return nil, err
	}
	return list(newEditor(file, data), old, id, chatflows)
}

// ListKey is [GrantKey] for a key that is in another file of the directory. It is up to the caller to check that it is
// there.
func ListKey(file string, data []byte, id string, chatflows []string) ([]byte, error) {
	if err := errors.Join(validateKeyID(id), validateChatflows(chatflows)); err != nil {
		return nil, err
	}
	old, err := keystore.ParsePart(file, data)
	if err != nil {
		return nil, err
	}
	e := newEditor(file, data)
	e.elsewhere = true
	return list(e, old, id, chatflows)
}

// list lists a key for chatflows.
func list(e *editor, old *keystore.Snapshot, id string, chatflows []string) ([]byte, error) {
	chatflows = slices.DeleteFunc(slices.Clone(chatflows), func(c string) bool { return old.Entry(c) != nil && old.Entry(c).ListsID(id) })
	if len(chatflows) == 0 {
		return e.before, nil
	}
	listed, added := sortOut(old, chatflows)
	e.step(func() { e.grant(id, listed) })
	items := itemsOf(added, func(c string) []newField { return NewChatflow{ID: c, Keys: []string{id}}.fields() })
	e.appendItems("chatflows", items)
	return e.result(func(file fields) {
		file.grant(id, listed)
		file.addItems("chatflows", items)
	})
}

// grant adds a key to the lists of chatflows.
func (e *editor) grant(key string, chatflows []string) {
	for _, c := range chatflows {
		e.addToList(e.entry("chatflows", c), "keys", e.word(key))
	}
}

// NoKeyError says that chatflows would list no key and would not be public either. A chatflow that nobody may call is
// closed by not listing it.
type NoKeyError struct {
	File string
	// Key is the only key that they list. It is empty if they are public so far and list none.
	Key string
	// Chatflows are the IDs of the chatflows.
	Chatflows []string
	labels    []string
}

func (e *NoKeyError) Error() string {
	const most = 6
	labels := strings.Join(e.labels[:min(len(e.labels), most)], ", ")
	if more := len(e.labels) - most; more > 0 {
		labels += fmt.Sprintf(" and %d more", more)
	}
	if e.Key == "" {
		return fmt.Sprintf("%s: no key is listed for %s, and a chatflow without one cannot be listed; grant it to a key first, or close it, which removes its entry with name and limits", e.File, labels)
	}
	return fmt.Sprintf("%s: key %q is the only key of %s, and a chatflow without a key cannot be listed; grant it to another key first, or close it, which removes its entry with name and limits",
		e.File, e.Key, labels)
}

// WithdrawKey returns the key file data with the key id no longer listed for chatflows. A chatflow that lists no other
// key and is not public loses its whole entry if closes is set; otherwise it is a [NoKeyError].
func WithdrawKey(file string, data []byte, id string, chatflows []string, closes bool) ([]byte, error) {
	old, _, err := keyOf(file, data, id)
	if err != nil {
		return nil, err
	}
	return unlist(newEditor(file, data), old, id, chatflows, closes)
}

// UnlistKey is [WithdrawKey] for a key that is in another file of the directory.
func UnlistKey(file string, data []byte, id string, chatflows []string, closes bool) ([]byte, error) {
	old, err := keystore.ParsePart(file, data)
	if err != nil {
		return nil, err
	}
	e := newEditor(file, data)
	e.elsewhere = true
	return unlist(e, old, id, chatflows, closes)
}

// unlist removes a key from the lists of chatflows.
func unlist(e *editor, old *keystore.Snapshot, id string, chatflows []string, closes bool) ([]byte, error) {
	var errs []error
	for _, c := range chatflows {
		if entry := old.Entry(c); entry == nil || !entry.ListsID(id) {
			errs = append(errs, fmt.Errorf("%s: chatflow %q does not list key %q; the list of keys shows what it opens", e.file, c, id))
		}
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	from := func(c string) bool { return slices.Contains(chatflows, c) }
	closed := e.withdraw(old, id, from, closes)
	return e.result(func(file fields) { file.withdraw(id, from, closed) })
}

// DeleteKey returns the key file data without the key id, which is also removed from the lists of chatflows. closes means
// the same as for [WithdrawKey].
func DeleteKey(file string, data []byte, id string, closes bool) ([]byte, error) {
	old, _, err := keyOf(file, data, id)
	if err != nil {
		return nil, err
	}
	e := newEditor(file, data)
	from := func(string) bool { return true }
	closed := e.withdraw(old, id, from, closes)
	e.step(func() { e.removeEntry("keys", id) })
	return e.result(func(file fields) {
		file.withdraw(id, from, closed)
		file.removeEntries("keys", func(of string, _ fields) bool { return of == id })
	})
}

// withdraw removes a key from the lists of chatflows. It returns the chatflows whose whole entries are removed instead.
func (e *editor) withdraw(old *keystore.Snapshot, key string, from func(chatflow string) bool, closes bool) (closed []string) {
	only := &NoKeyError{File: e.file, Key: key}
	e.step(func() {
		_, chatflows := field(e.root, "chatflows")
		if chatflows == nil { // they are in other files of the directory
			return
		}
		done := map[*yaml.Node]bool{}
		for _, entry := range chatflows.Content {
			id := idOf(entry)
			name, list := field(entry, "keys")
			if list == nil || !from(id) {
				continue
			}
			list = strictyaml.Follow(list)
			i := slices.IndexFunc(list.Content, func(n *yaml.Node) bool { return strictyaml.Follow(n).Value == key })
			switch {
			case i < 0 || done[list]: // several chatflows may share one list by an alias
			case len(list.Content) == 1 && !old.Entry(id).Public:
				only.Chatflows = append(only.Chatflows, id)
				only.labels = append(only.labels, old.Entry(id).Label())
			default:
				e.removeItem(name, list, i)
			}
			done[list] = true
		}
		if only.Chatflows != nil && !closes {
			e.err = only
		}
	})
	for _, id := range only.Chatflows {
		e.step(func() { e.removeEntry("chatflows", id) })
	}
	return only.Chatflows
}

// removeEntry removes an entry of the list under name.
func (e *editor) removeEntry(name, id string) {
	key, _ := field(e.root, name)
	if list, i := e.find(name, id); i >= 0 {
		e.removeItem(key, list, i)
	}
}
