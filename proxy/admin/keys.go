package admin

import (
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// KeyCounts counts all keys, and those of each status.
type KeyCounts struct {
	Total       int `json:"total"`
	Valid       int `json:"valid"`
	Disabled    int `json:"disabled"`
	NotYetValid int `json:"not_yet_valid"`
	Expired     int `json:"expired"`
	Honey       int `json:"honey"`
	// Expiring are the valid keys that expire within 14 days.
	Expiring int `json:"expiring"`
	// Matching are those that the filter lets through, of which Keys has the first.
	Matching int `json:"matching"`
}

// ExpiringStatus is a key that expires soon.
type ExpiringStatus struct {
	ID       string    `json:"id"`
	NotAfter time.Time `json:"not_after"`
}

// ExpiresSoon is how long before it expires a key or a certificate is worth a warning, as in the alert rules.
const ExpiresSoon = 14 * 24 * time.Hour

// keyRanks are what keys can be ordered by, the lowest first. Nil stands for the order of the file.
var keyRanks = map[string]func(s *stats.Stats, k *keystore.Key, now time.Time) int64{
	"file":         nil,
	"id":           func(*stats.Stats, *keystore.Key, time.Time) int64 { return 0 },
	"last_used":    func(s *stats.Stats, k *keystore.Key, _ time.Time) int64 { return newest(s.LastUsed(k.ID)) },
	"last_refused": func(s *stats.Stats, k *keystore.Key, _ time.Time) int64 { return newest(s.KeyUse(k.ID).LastRefused) },
	"refused": func(s *stats.Stats, k *keystore.Key, _ time.Time) int64 {
		return -count(refused(s.KeyUse(k.ID).Counts))
	},
	"requests": func(s *stats.Stats, k *keystore.Key, _ time.Time) int64 { return -count(s.KeyUse(k.ID).Requests) },
	"expiry":   func(_ *stats.Stats, k *keystore.Key, now time.Time) int64 { return soonest(k.NotAfter(), now) },
}

// keyStatus returns the keys of the view and those that expire soon, and counts all keys.
func (a *Admin) keyStatus(v view, s *keystore.Snapshot, now time.Time) (_ []KeyStatus, expiring []ExpiringStatus, counts KeyCounts) {
	counts = KeyCounts{Total: len(s.Keys())}
	name, reversed := strings.CutPrefix(v.keysBy, "-")
	by := keyRanks[name]
	first := firsts[*keystore.Key]{limit: cmp.Or(v.limit, math.MaxInt), reversed: reversed}
	soon := firsts[*keystore.Key]{limit: shownExpiring}
	for _, k := range s.Keys() {
		validity := k.Validity(now)
		switch validity {
		case keystore.Disabled:
			counts.Disabled++
		case keystore.NotYetValid:
			counts.NotYetValid++
		case keystore.Expired:
			counts.Expired++
		case keystore.Honey:
			counts.Honey++
		case keystore.Valid:
			counts.Valid++
			if end := k.NotAfter(); !end.IsZero() && end.Sub(now) < ExpiresSoon {
				counts.Expiring++
				soon.add(k, end.Unix(), k.ID)
			}
		}
		if !v.has(k.ID) {
			continue
		}
		counts.Matching++
		rank := int64(counts.Matching) // the order of the file
		if by != nil {
			rank = by(a.proxy.Stats(), k, now)
		}
		first.add(k, rank, k.ID)
	}
	keys := []KeyStatus{}
	for _, r := range first.list() {
		one := a.oneKey(r.value, now)
		if v.small() && !v.idsOnly { // for many keys, that would cost memory here and in Redis, even for keys that nobody uses
			one.Limits = a.limitStatus(r.value, now)
		}
		keys = append(keys, one)
	}
	expiring = []ExpiringStatus{}
	for _, r := range soon.list() {
		expiring = append(expiring, ExpiringStatus{r.value.ID, r.value.NotAfter()})
	}
	return keys, expiring, counts
}

// newest ranks times by the minute, the newest first. With more precision, rows that are in use would change places all
// the time.
func newest(t time.Time) int64 { return -(t.Unix() / 60) }

// soonest ranks ends: the next one first, then those that have passed, then no end at all.
func soonest(end, now time.Time) int64 {
	switch {
	case end.IsZero():
		return math.MaxInt64
	case end.Before(now):
		return math.MaxInt64 - 1 - end.Unix()
	}
	return end.Unix()
}
