// Package keystore holds which key opens which chatflow.
//
// A key file is read, checked whole and turned into a [Snapshot], a value that never changes; a
// [Store] keeps the snapshot in force and replaces it when the file does. The package knows keys
// and chatflows; it leaves HTTP to package proxy and changes of files to package watch.
package keystore

import (
	"slices"
	"strings"
	"time"
)

// Snapshot is one state of the key file. It never changes, so any number of goroutines may use it;
// whoever serves a request takes it once and asks it everything.
type Snapshot struct {
	// File is the name of the key file, for messages.
	File string
	// Loaded is when a Store put the snapshot in force.
	Loaded time.Time
	// Warnings are what the operator should know about a file that is valid, each with its place.
	Warnings []string

	keys      []*Key
	chatflows []*Chatflow
	secrets   secretIndex
	byID      map[string]*Chatflow
	every     *Chatflow // the entry "*", or nil
	public    bool      // some chatflow is open to all

	flowiseName  string // of Flowise's key file, as the key file has it; or empty
	flowisePath  string // of the same file; empty outside a Store
	flowiseFault error  // why it is out of date, so that the keys of Flowise are those that it had before
}

// EveryChatflow is the ID of the entry whose keys open every chatflow, listed or not.
const EveryChatflow = "*"

// Chatflow is what the key file says of one chatflow.
type Chatflow struct {
	// ID is the chatflow's ID, or [EveryChatflow].
	ID string
	// Name is the operator's word for it, or empty.
	Name string
	// Public says that no key is needed.
	Public bool
	// UpstreamAuthorization is what the runner is sent as credential.
	// The zero value means what the gate's setting says.
	UpstreamAuthorization UpstreamAuthorization
	// Body is what callers may put into a request body. The zero value means anything.
	Body BodyPolicy
	// Line is where the chatflow stands in its file, from 1.
	Line int

	keys    []*Key   // sorted by ID
	numbers []uint32 // of the same keys, sorted: close together, for requests
}

// Label is what stands for the chatflow in logs and metrics: its name, or else its ID.
func (c *Chatflow) Label() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// Keys returns the keys listed for the chatflow itself, by ID. Callers must not change them.
func (c *Chatflow) Keys() []*Key { return c.keys }

func (c *Chatflow) has(k *Key) bool {
	_, ok := slices.BinarySearch(c.numbers, k.number)
	return ok
}

// hasID is has for a key of another snapshot.
func (c *Chatflow) hasID(id string) bool {
	_, ok := slices.BinarySearchFunc(c.keys, id, func(k *Key, id string) int { return strings.Compare(k.ID, id) })
	return ok
}

// Keys returns all keys in the order of the file. Callers must not change them.
func (s *Snapshot) Keys() []*Key { return s.keys }

// Chatflows returns all chatflows in the order of the file. Callers must not change them.
func (s *Snapshot) Chatflows() []*Chatflow { return s.chatflows }

// FlowiseKeys is the key file of Flowise that the key file names, as it names it; or empty.
func (s *Snapshot) FlowiseKeys() string { return s.flowiseName }

// AnyPublic reports whether any chatflow is open to all.
func (s *Snapshot) AnyPublic() bool { return s.public }

// Key returns the key with this ID, or nil. It looks through all keys: it is for commands, not for
// requests.
func (s *Snapshot) Key(id string) *Key {
	for _, k := range s.keys {
		if k.ID == id {
			return k
		}
	}
	return nil
}

// Match is what a presented secret turned out to be.
type Match struct {
	Validity Validity
	Key      *Key    // nil if Validity is Unknown
	Secret   *Secret // nil if Validity is Unknown
}

// Match finds the key that has the secret with digest d and says whether it may be used at now.
// The time it takes does not depend on the number of keys, and tells nothing about any secret: what
// is compared are digests, and to learn from where two digests differ one would have to choose them.
func (s *Snapshot) Match(d Digest, now time.Time) Match {
	secret := s.secrets.get(d)
	if secret == nil {
		return Match{}
	}
	return Match{Validity: secret.Validity(now), Key: secret.key, Secret: secret}
}

// Chatflow returns what the file says of the chatflow id: its own entry, or else the entry "*",
// or nil. listed reports whether it has an entry of its own.
func (s *Snapshot) Chatflow(id string) (c *Chatflow, listed bool) {
	if c := s.byID[id]; c != nil {
		return c, true
	}
	return s.every, false
}

// entry returns the chatflow's own entry, or that of "*" if it is asked for, or nil.
func (s *Snapshot) entry(id string) *Chatflow {
	if id == EveryChatflow {
		return s.every
	}
	return s.byID[id]
}

// Opens reports whether key k opens the chatflow id. It looks at the lists alone, not at whether
// the key is valid now.
func (s *Snapshot) Opens(k *Key, id string) bool {
	c, listed := s.Chatflow(id)
	if c == nil || k == nil {
		return false
	}
	return c.has(k) || (listed && s.every != nil && s.every.has(k))
}
