package flowise

import (
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
)

// Update is what a Flowise has that a key file lacks. It takes nothing away, and gives nothing back that somebody may
// have taken away: a key that the file has is not granted to more of the chatflows that the file lists.
type Update struct {
	Keys      []NewKey
	Chatflows []NewChatflow
	Names     map[string]string // of chatflows that the file lists without a name, by ID

	source   *Installation
	public   bool
	labels   taken // of the file
	names    []named
	closed   []*flow  // without a key, and not listed
	orphaned []*flow  // with a key that does not exist, and not listed
	withheld []*flow  // listed, but not with the key that they have in Flowise, though the file has it
	replaced []*key   // with the name of a key of the file that has other secrets
	blocked  []*flow  // with such a key, and not listed
	renamed  []named  // with another name in the file
	gone     []string // labels of chatflows that Flowise does not have any more
}

// NewKey is a key that the file lacks.
type NewKey struct {
	ID     string
	Digest keystore.Digest
	// Chatflows are those that the file lists already and that the key opens in Flowise.
	Chatflows []string
	name      string // in Flowise
}

// NewChatflow is a chatflow that the file lacks. It has a key, or is public.
type NewChatflow struct {
	ID, Name, Key string
	Public        bool
}

type named struct{ id, is, inFlowise string }

// Compare returns what a Flowise has that the key file lacks. Chatflows that have no key in Flowise stay closed, or
// become public if publicStaysPublic.
func Compare(source *Installation, file *keystore.Snapshot, publicStaysPublic bool) *Update {
	u := &Update{Names: map[string]string{}, source: source, public: publicStaysPublic, labels: taken{}}
	for _, f := range source.Chatflows { // the label of a chatflow without a name is its ID
		u.labels[f.ID] = 1
	}
	for _, f := range file.Chatflows() {
		u.labels[f.Label()] = 1
	}
	c := &Conversion{source: source}
	keys := c.takeKeys()
	known := map[*key]bool{}
	ids := taken{}
	for _, k := range file.Keys() {
		ids[k.ID] = 1
	}
	for _, k := range c.keys { // give each the ID that it has, or gets, in the file
		switch match := file.Match(k.digest, file.Loaded); {
		case match.Key != nil:
			k.id, known[k] = match.Key.ID, true
		case file.Key(keyID(k.Name)) != nil:
			u.replaced = append(u.replaced, k)
		default:
			k.id = ids.name(keyID(k.Name), "%s-%d")
		}
	}
	c.sort(keys)
	u.replaced = slices.DeleteFunc(u.replaced, func(k *key) bool { return !k.opens })
	added := map[*key]int{} // its place in u.Keys
	need := func(k *key) *NewKey {
		i, ok := added[k]
		if !ok {
			i = len(u.Keys)
			added[k], u.Keys = i, append(u.Keys, NewKey{ID: k.id, Digest: k.digest, name: k.Name})
		}
		return &u.Keys[i]
	}
	for _, f := range c.keyed {
		entry := file.Entry(f.ID)
		switch {
		case slices.Contains(u.replaced, f.key):
			if entry == nil {
				u.blocked = append(u.blocked, f)
			}
		case entry == nil:
			if !known[f.key] {
				need(f.key)
			}
			u.Chatflows = append(u.Chatflows, NewChatflow{ID: f.ID, Name: u.label(f), Key: f.key.id})
		case !known[f.key]:
			k := need(f.key)
			k.Chatflows = append(k.Chatflows, f.ID)
		case !entry.Public && !entry.Lists(file.Key(f.key.id)):
			u.withheld = append(u.withheld, f)
		}
		u.name(entry, f)
	}
	for _, f := range c.open {
		switch entry := file.Entry(f.ID); {
		case entry != nil:
			u.name(entry, f)
		case publicStaysPublic:
			u.Chatflows = append(u.Chatflows, NewChatflow{ID: f.ID, Name: u.label(f), Public: true})
		default:
			u.closed = append(u.closed, f)
		}
	}
	for _, f := range c.orphaned {
		if entry := file.Entry(f.ID); entry != nil {
			u.name(entry, f)
		} else {
			u.orphaned = append(u.orphaned, f)
		}
	}
	u.lost(file)
	return u
}

// label returns the printable name of a chatflow, with a number if the name is taken; empty if there is none.
func (u *Update) label(f *flow) string {
	name := printable(f.Name)
	if name == "" {
		return ""
	}
	return u.labels.name(name, "%s (%d)")
}

// name records a name that Flowise has for f and the file does not. entry is what the file has for f; nil if it has
// nothing.
func (u *Update) name(entry *keystore.Chatflow, f *flow) {
	name := printable(f.Name)
	switch {
	case entry == nil || name == "" || entry.Name == name || strings.HasPrefix(entry.Name, name+" ("): // with a number, as label does
	case entry.Name == "":
		name = u.label(f)
		u.Names[f.ID] = name
		u.names = append(u.names, named{id: f.ID, inFlowise: name})
	default:
		u.renamed = append(u.renamed, named{f.ID, entry.Name, name})
	}
}

// lost records the chatflows of the file that Flowise does not have any more.
func (u *Update) lost(file *keystore.Snapshot) {
	has := map[string]bool{keystore.EveryChatflow: true}
	for _, f := range u.source.Chatflows {
		has[f.ID] = true
	}
	for _, c := range file.Chatflows() {
		if !has[c.ID] {
			u.gone = append(u.gone, c.Label())
		}
	}
}

// Empty reports whether the file lacks nothing.
func (u *Update) Empty() bool { return len(u.Keys)+len(u.Chatflows)+len(u.Names) == 0 }
