package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// NewKey is a key to make.
type NewKey struct {
	ID        string   `json:"id"`
	Owner     string   `json:"owner,omitempty"`
	Chatflows []string `json:"chatflows,omitempty"` // IDs, names, or addresses of Flowise
	NotBefore string   `json:"not_before,omitempty"`
	NotAfter  string   `json:"not_after,omitempty"`
	// Limits are as the key file has them, such as {"requests": ["10/1s", "10000/month"], "concurrent": 4}.
	Limits json.RawMessage `json:"limits,omitempty"`
	// File is the name of the file that gets the key, if --keys names a directory.
	File string `json:"file,omitempty"`
}

// Rotation gives a key a new secret.
type Rotation struct {
	// Overlap is how long the other secrets stay valid, such as "7d", or until when; "0" ends them. Empty means 24 hours.
	Overlap string `json:"overlap,omitempty"`
}

// Grant names chatflows that a key is to open.
type Grant struct {
	Chatflows []string `json:"chatflows"` // IDs, names, or addresses of Flowise
}

// Withdrawal names chatflows that a key is not to open any more.
type Withdrawal struct {
	Chatflows []string `json:"chatflows"`
	// Close removes the entries of chatflows that list no other key. Without Close, the change is refused if there are
	// any.
	Close bool `json:"close,omitempty"`
}

// Deletion removes a key.
type Deletion struct {
	Close bool `json:"close,omitempty"` // as for a Withdrawal
}

const defaultOverlap = "24h"

func (c *Console) makeKey(f *file, _ string, n *NewKey) (change, *Problem) {
	if k := f.snapshot.Key(n.ID); k != nil {
		return change{}, newProblem(refused, fmt.Sprintf("there is a key %q already; choose another ID, or give that one a new secret", n.ID))
	}
	ids, p := c.chatflowIDs(f, n.Chatflows)
	if p != nil {
		return change{}, p
	}
	from, p1 := c.parseTime("not_before", n.NotBefore)
	until, p2 := c.parseTime("not_after", n.NotAfter)
	if p := cmp.Or(p1, p2); p != nil {
		return change{}, p
	}
	if !until.IsZero() && !until.After(c.proxy.Now()) {
		return change{}, newProblem(refused, "not_after is in the past, so the key would never be valid")
	}
	limits, p := parseLimits(n.Limits)
	if p != nil {
		return change{}, p
	}
	place, p := c.place(f, n.File)
	if p != nil {
		return change{}, p
	}
	secret := keystore.Generate()
	names := c.namesOf(f, ids)
	own, others := f.divide(place, ids)
	added := edit.NewKey{ID: n.ID, Owner: n.Owner, Limits: limits, Digest: keystore.DigestOf(secret), NotBefore: from, NotAfter: until, Chatflows: own}
	edits := []fileEdit{{place, func(data []byte) ([]byte, error) {
		next, err := edit.AddKey(place, data, added)
		return named(names, place, next, err)
	}}}
	return change{action: "make", key: n.ID, chatflows: ids, secret: secret, edits: append(edits, listings(n.ID, others)...)}, nil
}

// parseLimits parses a JSON object, which is also valid in a key file in YAML.
func parseLimits(object json.RawMessage) (*keystore.Limits, *Problem) {
	text := strings.TrimSpace(string(object))
	if text == "" || text == "null" {
		return nil, nil //nolint:nilnil // none is a limit, too
	}
	inner, opens := strings.CutPrefix(text, "{")
	inner, closes := strings.CutSuffix(inner, "}")
	if !opens || !closes {
		return nil, newProblem(malformed, `limits: want an object such as {"requests": ["10/1s"], "concurrent": 4}`)
	}
	limits, err := keystore.ParseLimits(inner)
	if err != nil {
		return nil, newProblem(refused, err.Error())
	}
	return limits, nil
}

// parseTime parses a time as the commands take it. Empty text means none.
func (c *Console) parseTime(name, text string) (time.Time, *Problem) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := keystore.ParseTime(text, c.proxy.Now())
	if err != nil {
		return t, newProblem(malformed, fmt.Sprintf("%s: %v", name, err))
	}
	return t, nil
}

// parseOverlap returns until when the old secrets of a key stay valid.
func (c *Console) parseOverlap(text string) (time.Time, *Problem) {
	now := c.proxy.Now()
	until, err := keystore.ParseUntil(cmp.Or(text, defaultOverlap), now)
	switch {
	case err != nil:
		return until, newProblem(malformed, fmt.Sprintf("overlap: %v", err))
	case until.Before(now.Truncate(time.Second)):
		return until, newProblem(refused, "overlap is in the past; 0 ends the old secret at once")
	}
	return until, nil
}

func (c *Console) rotateKey(f *file, id string, ask *Rotation) (change, *Problem) {
	k, p := f.ownKey(id)
	if p != nil {
		return change{}, p
	}
	until, p := c.parseOverlap(ask.Overlap)
	if p != nil {
		return change{}, p
	}
	secret := keystore.Generate()
	return change{action: "rotate", key: id, secret: secret, edits: []fileEdit{{k.File(), func(data []byte) ([]byte, error) {
		return edit.RotateKey(k.File(), data, id, keystore.DigestOf(secret), until)
	}}}}, nil
}

// ofKey returns a change of a key that needs no more than its ID.
func ofKey(f *file, action, id string, do func(file string, data []byte, id string) ([]byte, error)) (change, *Problem) {
	k, p := f.ownKey(id)
	if p != nil {
		return change{}, p
	}
	return change{action: action, key: id, edits: []fileEdit{{k.File(), func(data []byte) ([]byte, error) { return do(k.File(), data, id) }}}}, nil
}

func (c *Console) disableKey(f *file, id string) (change, *Problem) {
	return ofKey(f, "disable", id, edit.DisableKey)
}

func (c *Console) enableKey(f *file, id string) (change, *Problem) {
	return ofKey(f, "enable", id, edit.EnableKey)
}

func (c *Console) deleteKey(f *file, id string, ask *Deletion) (change, *Problem) {
	ch, p := ofKey(f, "delete", id, func(file string, data []byte, id string) ([]byte, error) {
		return edit.DeleteKey(file, data, id, ask.Close)
	})
	if p != nil {
		return ch, p
	}
	k := f.snapshot.Key(id)
	var listing []string
	for _, chatflow := range f.snapshot.Listing(k) {
		listing = append(listing, chatflow.ID)
	}
	_, others := f.divide(k.File(), listing)
	ch.edits = append(unlistings(id, others, ask.Close), ch.edits...) // no file may list a key that is gone
	return ch, nil
}

func (c *Console) grantKey(f *file, id string, ask *Grant) (change, *Problem) {
	k, ids, p := c.keyAndChatflows(f, id, ask.Chatflows)
	if p != nil {
		return change{}, p
	}
	if k.Honey {
		return change{}, newProblem(refused, fmt.Sprintf("key %q is a honey key, which opens nothing; grant this to another key", id))
	}
	names := c.namesOf(f, ids)
	own, others := f.divide(k.File(), ids)
	edits := listings(id, others)
	if len(own) > 0 {
		edits = append(edits, fileEdit{k.File(), func(data []byte) ([]byte, error) {
			next, err := edit.GrantKey(k.File(), data, id, own)
			return named(names, k.File(), next, err)
		}})
	}
	return change{action: "grant", key: id, chatflows: ids, edits: edits}, nil
}

func (c *Console) withdrawKey(f *file, id string, ask *Withdrawal) (change, *Problem) {
	k, ids, p := c.keyAndChatflows(f, id, ask.Chatflows)
	if p != nil {
		return change{}, p
	}
	own, others := f.divide(k.File(), ids)
	edits := unlistings(id, others, ask.Close)
	if len(own) > 0 {
		edits = append(edits, fileEdit{k.File(), func(data []byte) ([]byte, error) {
			return edit.WithdrawKey(k.File(), data, id, own, ask.Close)
		}})
	}
	return change{action: "withdraw", key: id, chatflows: ids, edits: edits}, nil
}

// namesOf returns the names that Flowise has for the chatflows that are new in the key file. Flowise is asked before
// the edit, since an edit keeps others out.
func (c *Console) namesOf(f *file, ids []string) map[string]string {
	names := map[string]string{}
	for _, id := range ids {
		if f.snapshot.Entry(id) != nil {
			continue
		}
		if name := c.upstream.nameOf(id); name != "" {
			names[id] = name
		}
	}
	return names
}

// named gives chatflows of a key file their names, unless the edit before that has failed.
func named(names map[string]string, file string, data []byte, err error) ([]byte, error) {
	for _, id := range slices.Sorted(maps.Keys(names)) {
		if err == nil {
			data, err = edit.NameChatflow(file, data, id, names[id])
		}
	}
	return data, err
}

// keyAndChatflows returns a key that can be changed, and the IDs of the chatflows that texts name.
func (c *Console) keyAndChatflows(f *file, id string, texts []string) (*keystore.Key, []string, *Problem) {
	k, p := f.ownKey(id)
	if p != nil {
		return nil, nil, p
	}
	if len(texts) == 0 {
		return nil, nil, newProblem(malformed, "chatflows: name one or more")
	}
	ids, p := c.chatflowIDs(f, texts)
	return k, ids, p
}
