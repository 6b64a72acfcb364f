package console

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Key is a key as the key file has it.
type Key struct {
	ID        string    `json:"id"`
	File      string    `json:"file,omitempty"` // the one that has the key, in a directory of key files
	Owner     string    `json:"owner,omitempty"`
	Status    string    `json:"status"` // valid, disabled, expired, not_yet_valid, honey
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Secrets   []Secret  `json:"secrets"`
	Limits    string    `json:"limits,omitempty"`  // in words
	Browser   string    `json:"browser,omitempty"` // what its browser tokens may do, in words
	// Chatflows are the IDs of those that list the key; "*" stands for all.
	Chatflows []string  `json:"chatflows"`
	LastUsed  time.Time `json:"last_used,omitzero"` // since the start of this gate
}

// Secret is one secret of a key, by its public fingerprint.
type Secret struct {
	Fingerprint string    `json:"fingerprint"`
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"`
}

// KeyList is some of the keys, in the order of the key file.
type KeyList struct {
	Total    int   `json:"total"`
	Matching int   `json:"matching"` // the filter
	Keys     []Key `json:"keys"`
}

// maxShown is how many keys or chatflows a list has at most.
const maxShown = 1000

// page says which part of a list is asked for.
type page struct {
	filter        string // lower case
	offset, limit int
}

func parsePage(q url.Values, limit int) (page, *Problem) {
	p := page{filter: strings.ToLower(strings.TrimSpace(q.Get("filter"))), limit: limit}
	for name, to := range map[string]*int{"offset": &p.offset, "limit": &p.limit} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return p, newProblem(malformed, fmt.Sprintf("%s: %.20q: want a number from 0", name, text))
		}
		*to = n
	}
	p.limit = min(p.limit, maxShown)
	return p, nil
}

func (p page) has(texts ...string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), p.filter) })
}

// choose returns the part of a list that the page shows, and how many items of the list match its filter. An item
// matches by any of its texts.
func choose[T any](p page, all []T, texts func(T) []string) (shown []T, matching int) {
	var found []T
	for _, one := range all {
		if p.has(texts(one)...) {
			found = append(found, one)
		}
	}
	from := min(p.offset, len(found))
	return found[from:min(from+p.limit, len(found))], len(found)
}

func (c *Console) showKeys(r *http.Request, f *file) (any, *Problem) {
	p, problem := parsePage(r.URL.Query(), 100)
	if problem != nil {
		return nil, problem
	}
	return c.keys(f, p), nil
}

func (c *Console) keys(f *file, p page) KeyList {
	all := f.snapshot.Keys()
	shown, matching := choose(p, all, func(k *keystore.Key) []string { return []string{k.ID, k.Owner} })
	list := KeyList{Total: len(all), Matching: matching, Keys: []Key{}}
	for _, k := range shown {
		list.Keys = append(list.Keys, c.key(f, k))
	}
	return list
}

func (c *Console) showKey(r *http.Request, f *file) (any, *Problem) {
	k, p := f.key(r.PathValue("id"))
	if p != nil {
		return nil, p
	}
	return c.key(f, k), nil
}

// key finds a key of the file.
func (f *file) key(id string) (*keystore.Key, *Problem) {
	k, err := f.snapshot.KeyNamed(id)
	if err != nil {
		return nil, newProblem(notFound, err.Error())
	}
	return k, nil
}

// ownKey finds a key that can be changed.
func (f *file) ownKey(id string) (*keystore.Key, *Problem) {
	k, p := f.key(id)
	if p == nil && k.FromFlowise() {
		return nil, newProblem(refused, fmt.Sprintf("key %q is one of Flowise's own, which are changed there; what chatflows list it is changed in the key file, by hand", id))
	}
	return k, p
}

func (c *Console) key(f *file, k *keystore.Key) Key {
	shown := Key{
		ID: k.ID, Owner: k.Owner, Status: k.Validity(c.proxy.Now()).String(), NotBefore: k.NotBefore(), NotAfter: k.NotAfter(),
		Secrets: []Secret{}, Browser: k.Browser.String(), Chatflows: []string{}, LastUsed: c.proxy.Stats().LastUsed(k.ID).UTC(),
	}
	if f.snapshot.IsDirectory() {
		shown.File = filepath.Base(k.File())
	}
	if !k.Limits.Empty() {
		shown.Limits = k.Limits.String()
	}
	for _, s := range k.Secrets() {
		shown.Secrets = append(shown.Secrets, Secret{s.Fingerprint(), s.NotBefore(), s.NotAfter()})
	}
	for _, chatflow := range f.snapshot.Listing(k) {
		shown.Chatflows = append(shown.Chatflows, chatflow.ID)
	}
	return shown
}
