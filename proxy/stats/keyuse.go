package stats

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// KeyUse says what became of the requests with one key since the start.
type KeyUse struct {
	// Counts are of all requests that presented one of its secrets. But Streams are only those that the key opened.
	Counts
	// LastUsed is when the key last opened what a request asked for, or when such a request ended; zero if never.
	LastUsed time.Time
	// Open is the number of open requests that the key opened.
	Open int64
	// Honey is the number of requests that presented the key while it was a honey key.
	Honey uint64

	secrets []*secretUse
}

// SecretLastUsed returns when a secret of the key was last used, as LastUsed does for the key; zero if never.
func (u KeyUse) SecretLastUsed(d keystore.Digest) time.Time {
	for _, s := range u.secrets {
		if s.digest == d {
			return unix(&s.used)
		}
	}
	return time.Time{}
}

// keyUse counts the requests with one key. It is not part of the snapshot, so it survives reloads and rotations. Requests
// add to it without a lock.
type keyUse struct {
	counters
	sent    used
	used    atomic.Int64 // seconds since 1970; 0 for never
	open    atomic.Int64
	honey   atomic.Uint64
	secrets atomic.Pointer[[]*secretUse] // seldom more than two; replaced by another list, never changed
}

type secretUse struct {
	digest keystore.Digest
	used   atomic.Int64
}

// note notes that the key was used at a time, with one of its secrets.
func (u *keyUse) note(s *keystore.Secret, at time.Time) {
	storeMax(&u.used, at.Unix())
	if s != nil {
		storeMax(&u.ofSecret(s.Digest).used, at.Unix())
	}
}

func (u *keyUse) ofSecret(d keystore.Digest) *secretUse {
	known := u.secrets.Load()
	if known != nil {
		for _, s := range *known {
			if s.digest == d {
				return s
			}
		}
	}
	return u.addSecret(known, d)
}

// addSecret adds a secret to the known ones.
func (u *keyUse) addSecret(known *[]*secretUse, d keystore.Digest) *secretUse {
	s := &secretUse{digest: d}
	longer := []*secretUse{s}
	if known != nil {
		longer = append(longer, *known...)
	}
	if u.secrets.CompareAndSwap(known, &longer) {
		return s
	}
	return u.ofSecret(d) // another request has added one
}

func (u *keyUse) read() KeyUse {
	use := KeyUse{Counts: u.counters.read(), LastUsed: unix(&u.used), Open: u.open.Load(), Honey: u.honey.Load()}
	if known := u.secrets.Load(); known != nil {
		use.secrets = *known
	}
	return use
}

// pruneSecrets forgets the secrets that the key no longer has.
func (u *keyUse) pruneSecrets(k *keystore.Key) {
	known := u.secrets.Load()
	if known == nil || len(*known) < 2 {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(*known), func(u *secretUse) bool {
		return !slices.ContainsFunc(k.Secrets(), func(s keystore.Secret) bool { return s.Digest == u.digest })
	})
	if len(kept) < len(*known) {
		u.secrets.CompareAndSwap(known, &kept) // if another request came between, the next prune does it
	}
}

// keyUses has the use of each key that was presented. Its methods may be called concurrently.
type keyUses struct {
	byID sync.Map // key ID → *keyUse
}

func (u *keyUses) of(id string) *keyUse {
	found, ok := u.byID.Load(id)
	if !ok {
		found, _ = u.byID.LoadOrStore(id, &keyUse{})
	}
	return found.(*keyUse)
}

// prune forgets keys that the key file no longer has, unless they have open requests, and secrets that keys no longer
// have.
func (u *keyUses) prune(s *keystore.Snapshot) {
	gone := map[string]bool{}
	u.byID.Range(func(id, found any) bool {
		gone[id.(string)] = found.(*keyUse).open.Load() == 0
		return true
	})
	if len(gone) == 0 {
		return
	}
	for _, k := range s.Keys() {
		if _, known := gone[k.ID]; known {
			delete(gone, k.ID)
			u.of(k.ID).pruneSecrets(k)
		}
	}
	for id, quiet := range gone {
		if quiet {
			u.byID.Delete(id)
		}
	}
}

// KeyUse returns what became of the requests with a key.
func (s *Stats) KeyUse(id string) KeyUse {
	if found, ok := s.keys.byID.Load(id); ok {
		return found.(*keyUse).read()
	}
	return KeyUse{}
}

// LastUsed returns when a key was last used; zero if not since the start.
func (s *Stats) LastUsed(id string) time.Time {
	if found, ok := s.keys.byID.Load(id); ok {
		return unix(&found.(*keyUse).used)
	}
	return time.Time{}
}

// EachKey calls do with the counts of every key that was presented, in any order, until do returns false.
func (s *Stats) EachKey(do func(id string, counts Counts) bool) {
	s.keys.byID.Range(func(id, found any) bool { return do(id.(string), found.(*keyUse).counters.read()) })
}
