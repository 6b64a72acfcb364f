package keystore

import (
	"math"
	"net/netip"
	"slices"
	"time"
)

// Key is what a client holds: a public ID and one or more secrets. It does not change once it is
// part of a [Snapshot].
type Key struct {
	// ID is public: logs and metrics have it.
	ID string
	// Disabled says that no secret of the key is accepted.
	Disabled bool
	// Honey says that the key was planted where only a thief looks. No secret of it is accepted, and whoever sends one is
	// reported.
	Honey bool

	fromFlowise bool // it is in Flowise's key file, not in one of ours

	*Terms

	// Line is the line of the key in its file, from 1; for a key of Flowise, the line that names Flowise's file.
	Line int
	file *KeyFile

	valid   window
	number  uint32 // its index among the snapshot's keys
	since   uint32 // the generation in which it was added or last changed; 0 outside a Store
	secrets []Secret
}

// Terms are fields that few keys have. Keys without any of them share one Terms; otherwise a million keys would take a
// fifth more memory.
type Terms struct {
	// Owner says who has the key, for people; it may be empty.
	Owner string
	// From are the addresses from which the key may be used; none means any.
	From []netip.Prefix
	// Groups are the route groups that the key may use; none means all that are exposed.
	Groups []string
	// Limits are how much the key may be used; nil means no limit.
	Limits *Limits
	// Browser says what browser tokens of the key may do; nil means that none can be minted.
	Browser *Browser
}

var noTerms Terms

// orNone returns t, or the shared noTerms if t has none of the fields.
func (t Terms) orNone() *Terms {
	if t.Owner == "" && len(t.From) == 0 && len(t.Groups) == 0 && t.Limits == nil && t.Browser == nil {
		return &noTerms
	}
	own := t // a copy, since with &t every key would have its t on the heap
	return &own
}

// Secret is one of a key's secrets, by its digest.
type Secret struct {
	Digest Digest
	// Plain says that the file holds the secret itself, not its digest.
	Plain bool

	valid window
	key   *Key
}

// Fingerprint is the public name of the secret: see [Digest.Fingerprint].
func (s *Secret) Fingerprint() string { return s.Digest.Fingerprint() }

// window is the time in which something is valid: from the first to just before the second, in nanoseconds since 1970.
// Integers are smaller than times, and faster to compare at every request.
type window struct{ from, until int64 }

var always = window{math.MinInt64, math.MaxInt64}

func (w window) notBefore() time.Time { return windowTime(w.from, math.MinInt64) }
func (w window) notAfter() time.Time  { return windowTime(w.until, math.MaxInt64) }

func windowTime(ns, unset int64) time.Time {
	if ns == unset {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// NotBefore is when the key becomes valid; the zero time if it always was.
func (k *Key) NotBefore() time.Time { return k.valid.notBefore() }

// OwnNotAfter is when the key itself expires, regardless of its secrets; the zero time if never.
func (k *Key) OwnNotAfter() time.Time { return k.valid.notAfter() }

// NotAfter is when the key expires; the zero time if never. It expires with its last secret, if that is earlier.
func (k *Key) NotAfter() time.Time {
	last := int64(math.MinInt64)
	for _, s := range k.secrets {
		last = max(last, s.valid.until)
	}
	return window{until: min(last, k.valid.until)}.notAfter()
}

// FromFlowise reports whether the key is in Flowise's key file, not in one of ours.
func (k *Key) FromFlowise() bool { return k.fromFlowise }

// File is the path of the key file that lists the key.
func (k *Key) File() string { return k.file.Path }

// Place is the file and line of the key, for messages.
func (k *Key) Place() string { return k.file.place(k.Line) }

// Since is the generation in which the key was added or last changed, as counted by the [Store] that published it; 0
// outside a Store.
func (k *Key) Since() uint64 { return uint64(k.since) }

// MayComeFrom reports whether the key may be used from an address.
func (k *Key) MayComeFrom(client netip.Addr) bool {
	return len(k.From) == 0 || slices.ContainsFunc(k.From, func(n netip.Prefix) bool { return n.Contains(client) })
}

// MayUse reports whether the key may be used for routes of a group.
func (k *Key) MayUse(group string) bool {
	return len(k.Groups) == 0 || slices.Contains(k.Groups, group)
}

// Secrets returns the key's secrets in the order of the file. The slice must not be changed.
func (k *Key) Secrets() []Secret { return k.secrets }

// Validity says whether a secret may be used at a given time. A client only learns whether it is [Valid]; the rest
// is for the operator.
type Validity uint8

// The validities, from the worst to the best.
const (
	Unknown Validity = iota // no key has this secret
	Honey
	Disabled
	NotYetValid
	Expired
	Valid
)

// String returns the validity as it appears in logs.
func (v Validity) String() string {
	return [...]string{"unknown", "honey", "disabled", "not_yet_valid", "expired", "valid"}[v]
}

// Validity returns the best validity of the key's secrets at now.
func (k *Key) Validity(now time.Time) Validity {
	best := Unknown
	for i := range k.secrets {
		best = max(best, k.secrets[i].Validity(now))
	}
	return best
}

// Validity returns the validity of the secret at now. A secret is never more valid than its key.
func (s *Secret) Validity(now time.Time) Validity {
	t := now.UnixNano()
	switch {
	case s.key.Disabled:
		return Disabled
	case s.key.Honey:
		return Honey
	case t < s.valid.from || t < s.key.valid.from:
		return NotYetValid
	case t >= s.valid.until || t >= s.key.valid.until:
		return Expired
	}
	return Valid
}

// Superseded reports whether the secret was replaced: it expires, and another secret of its key that is valid at now
// expires later. since is when that other secret became valid; the zero time if it always was.
func (s *Secret) Superseded(now time.Time) (since time.Time, superseded bool) {
	for i := range s.key.secrets {
		other := &s.key.secrets[i]
		if other.valid.until > s.valid.until && other.Validity(now) == Valid {
			return other.NotBefore(), true
		}
	}
	return time.Time{}, false
}

// NotBefore is when the secret becomes valid; the zero time if it always was.
func (s *Secret) NotBefore() time.Time { return s.valid.notBefore() }

// NotAfter is when the secret expires; the zero time if never.
func (s *Secret) NotAfter() time.Time { return s.valid.notAfter() }
