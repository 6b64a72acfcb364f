// Package keystore knows which key opens which chatflow.
//
// A key file is parsed, checked and turned into a [Snapshot], which never changes; a [Store] holds the
// active snapshot and replaces it when the file changes. HTTP is left to package proxy, noticing changes
// to package watch, and making them to package edit.
package keystore

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// Snapshot is one state of the key file. It never changes, so it may be used concurrently. A request takes everything it
// needs to know from one snapshot.
type Snapshot struct {
	// File is the name of the key file, or of the directory of key files, for messages.
	File string
	// Loaded is when a Store published the snapshot.
	Loaded time.Time
	// Warnings are what the operator should know about a file that is valid, each with its place.
	Warnings []string

	isDirectory bool
	files       []*KeyFile
	keys        []*Key
	chatflows   []*Chatflow
	secrets     map[Digest]*Secret
	byID        map[string]*Chatflow
	browser     map[string]*Key // keys that browser tokens may be minted with, by ID
	every       *Chatflow       // the entry "*", or nil
	public      bool            // some chatflow is public
	hash        string          // empty outside a Store

	flowiseName  string // name of Flowise's key file, as a key file gives it, or empty
	namesFlowise string // path of the key file that gives it
	flowisePath  string // path of Flowise's key file; empty outside a Store
	flowiseFault error  // why Flowise's last good keys are used in place of its present ones; nil if the present ones are
}

// EveryChatflow is the ID of the entry whose keys open every chatflow, including those that are not listed.
const EveryChatflow = "*"

// Chatflow is what the key file says about one chatflow.
type Chatflow struct {
	// ID is the chatflow's ID, or [EveryChatflow].
	ID string
	// Name is the operator's name for it, or empty.
	Name string
	// Public says that no key is needed.
	Public bool
	// UpstreamAuthorization says which credential is sent to the upstream. The zero value means the one in the gate's
	// settings.
	UpstreamAuthorization UpstreamAuthorization
	// Body is what clients may put into a request body. The zero value means anything.
	Body BodyPolicy
	// Limits apply to all its keys together, ClientLimits to each client address. Nil means no limit.
	Limits, ClientLimits *Limits
	// AbortOnDisconnect says that the upstream is told to stop working on a request when its client leaves. Otherwise the
	// upstream finishes it.
	AbortOnDisconnect bool
	// Line is the line of the chatflow in its file, from 1.
	Line int
	file *KeyFile

	keys    []*Key   // sorted by ID
	numbers []uint32 // numbers of the same keys, sorted, so that Lists need not look at the keys themselves
}

// Label is what logs and metrics call the chatflow: its name, or its ID if it has none.
func (c *Chatflow) Label() string { return cmp.Or(c.Name, c.ID) }

// File is the path of the key file that lists the chatflow.
func (c *Chatflow) File() string { return c.file.Path }

// Place is the file and line of the chatflow, for messages.
func (c *Chatflow) Place() string { return c.file.place(c.Line) }

// Keys returns the keys that the chatflow itself lists, without those of "*", sorted by ID. The slice must not be
// changed.
func (c *Chatflow) Keys() []*Key { return c.keys }

// Lists reports whether k is listed for the chatflow itself.
func (c *Chatflow) Lists(k *Key) bool {
	_, ok := slices.BinarySearch(c.numbers, k.number)
	return ok
}

// ListsID is Lists for a key of another snapshot.
func (c *Chatflow) ListsID(id string) bool {
	_, ok := slices.BinarySearchFunc(c.keys, id, func(k *Key, id string) int { return strings.Compare(k.ID, id) })
	return ok
}

// Files returns the key files that the snapshot was made from, in the order of their names. The slice must not be
// changed.
func (s *Snapshot) Files() []*KeyFile { return s.files }

// IsDirectory reports whether File is a directory of key files.
func (s *Snapshot) IsDirectory() bool { return s.isDirectory }

// Keys returns all keys in the order of the files, those of Flowise last. The slice must not be changed.
func (s *Snapshot) Keys() []*Key { return s.keys }

// Chatflows returns all chatflows in the order of the files. The slice must not be changed.
func (s *Snapshot) Chatflows() []*Chatflow { return s.chatflows }

// FlowiseKeys is the name of Flowise's key file as a key file gives it, or empty if none does.
func (s *Snapshot) FlowiseKeys() string { return s.flowiseName }

// FlowiseKeysFault returns text as a fault of the key file that names Flowise's, so that the [Store] knows which file is
// to blame.
func (s *Snapshot) FlowiseKeysFault(text string) error {
	return strictyaml.Faults{{File: s.namesFlowise, Text: text}}
}

// Hash identifies the content of the key file: two gates with the same hash have read the same file. It is the first 8
// hexadecimal digits of the file's SHA-256, or for a directory, of a SHA-256 over the names and contents of its key
// files. If a file names Flowise's keys, those are included, too. Hash is empty outside a Store.
func (s *Snapshot) Hash() string { return s.hash }

// AnyPublic reports whether any chatflow is public.
func (s *Snapshot) AnyPublic() bool { return s.public }

// only returns the part of s that comes from the key file at path, for comparisons.
func (s *Snapshot) only(path string) *Snapshot {
	if len(s.files) == 1 && s.files[0].Path == path {
		return s
	}
	part := &Snapshot{}
	for _, k := range s.keys {
		if k.file.Path == path {
			part.keys = append(part.keys, k)
		}
	}
	for _, c := range s.chatflows {
		if c.file.Path == path {
			part.chatflows = append(part.chatflows, c)
		}
	}
	return part
}

// Key returns the key with this ID, or nil. It searches all keys, so it is for commands, not for requests.
func (s *Snapshot) Key(id string) *Key {
	if i := slices.IndexFunc(s.keys, func(k *Key) bool { return k.ID == id }); i >= 0 {
		return s.keys[i]
	}
	return nil
}

// BrowserKey returns the key with this ID if browser tokens may be minted with it, or nil. Its running time does not
// depend on the number of keys.
func (s *Snapshot) BrowserKey(id string) *Key { return s.browser[id] }

// AnyBrowser reports whether browser tokens may be minted with any key.
func (s *Snapshot) AnyBrowser() bool { return len(s.browser) > 0 }

// KeyNamed is [Snapshot.Key] for an ID that somebody typed: if there is no such key, the error says which one was
// probably meant. If a secret was given in place of an ID, the error does not show it.
func (s *Snapshot) KeyNamed(id string) (*Key, error) {
	if k := s.Key(id); k != nil {
		return k, nil
	}
	if secret := s.secrets[DigestOf(id)]; secret != nil {
		return nil, fmt.Errorf("this is the secret of key %q, which is named by its ID", secret.key.ID)
	}
	shown := strconv.Quote(id)
	if LooksLikeSecret(id) || len(id) >= 32 {
		shown = strictyaml.Quote(id)
	}
	ids := make([]string, len(s.keys))
	for i, k := range s.keys {
		ids[i] = k.ID
	}
	guess := strictyaml.DidYouMean(id, ids)
	if guess == "" {
		guess = "; the list of keys shows those there are"
	}
	return nil, fmt.Errorf("there is no key %s%s", shown, guess)
}

// Entry returns the entry with this ID, which may be [EveryChatflow], or nil.
func (s *Snapshot) Entry(id string) *Chatflow {
	if id == EveryChatflow {
		return s.every
	}
	return s.byID[id]
}

// Listing returns the chatflows that list key k themselves. It searches all chatflows, so it is for commands and pages,
// not for requests.
func (s *Snapshot) Listing(k *Key) (chatflows []*Chatflow) {
	for _, c := range s.chatflows {
		if c.Lists(k) {
			chatflows = append(chatflows, c)
		}
	}
	return chatflows
}

// EntryNamed is [Snapshot.Entry] for an ID that somebody typed: if there is no such chatflow, the error says which one
// was probably meant.
func (s *Snapshot) EntryNamed(id string) (*Chatflow, error) {
	if c := s.Entry(id); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no chatflow %s is listed%s", strictyaml.Quote(id), s.NearChatflow(id))
}

// NearChatflow returns a text such as "; did you mean NAME?" for the chatflow whose ID or name is closest to text, or
// nothing if none is close.
func (s *Snapshot) NearChatflow(text string) string {
	var names []string
	for _, c := range s.chatflows {
		names = append(names, c.ID)
		if c.Name != "" {
			names = append(names, c.Name)
		}
	}
	return strictyaml.DidYouMean(text, names)
}

// IsNamed reports whether somebody who writes name may mean c. Nobody means "*" by a name: it must be written as such.
func (c *Chatflow) IsNamed(name string) bool {
	return c.Name == name && name != "" && c.ID != EveryChatflow
}

// ChatflowsNamed returns the IDs of the chatflows with a name.
func (s *Snapshot) ChatflowsNamed(name string) (ids []string) {
	for _, c := range s.chatflows {
		if c.IsNamed(name) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

var uuid = regexp.MustCompile(`(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)

// UUIDIn returns, in lower case, the UUID that text is, or the only one in it if text is a URL or a path; otherwise
// nothing. A text with a comma or white space counts as neither, since it may name several chatflows.
func UUIDIn(text string) string {
	found := uuid.FindAllString(text, -1)
	if len(found) != 1 || found[0] != text && !strings.Contains(text, "/") || strings.Contains(text, "..") || strings.ContainsAny(text, ", \t\r\n") {
		return ""
	}
	return strings.ToLower(found[0])
}

// Match says whose secret a client has sent.
type Match struct {
	Validity Validity
	Key      *Key    // nil if Validity is Unknown
	Secret   *Secret // nil if Validity is Unknown
}

// Match finds the key that has the secret with digest d and says whether it may be used at now. Its running time does not
// depend on the number of keys and reveals nothing about a secret: it compares digests, and nobody can choose a secret
// whose digest begins like another one.
func (s *Snapshot) Match(d Digest, now time.Time) Match {
	secret := s.secrets[d]
	if secret == nil {
		return Match{}
	}
	return Match{Validity: secret.Validity(now), Key: secret.key, Secret: secret}
}

// Chatflow returns the entry for the chatflow id: its own, else that of "*", else nil. listed reports whether it has its
// own.
func (s *Snapshot) Chatflow(id string) (c *Chatflow, listed bool) {
	if c := s.byID[id]; c != nil {
		return c, true
	}
	return s.every, false
}

// Opens reports whether key k opens the chatflow id, provided that the key is valid.
func (s *Snapshot) Opens(k *Key, id string) bool {
	c, listed := s.Chatflow(id)
	if c == nil || k == nil {
		return false
	}
	return c.Lists(k) || (listed && s.every != nil && s.every.Lists(k))
}
