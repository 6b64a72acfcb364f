package admin

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// view says which keys and chatflows a status has, and in which order. The zero value means all, in the order of
// the file.
type view struct {
	limit       int    // keys, chatflows and warnings at most; 0 for no limit
	filter      string // lower case: what an ID, a name or the ID of a chatflow's key has in it
	keysBy      string
	chatflowsBy string
}

// What a view can be ordered by.
var (
	keyOrders      = []string{"file", "last_used", "last_refused", "expiry", "id"}
	chatflowOrders = []string{"file", "last_call", "last_refused", "refused", "requests", "name"}
)

const (
	mostFilter = 200 // bytes of a filter
	shownKeys  = 20  // of one chatflow, where there is a limit
)

// parseView reads a view from the query of `GET /status`. Parameters that it does not know mean nothing, as
// they did before there were any.
func parseView(q url.Values) (v view, err error) {
	if s := q.Get("limit"); s != "" {
		if v.limit, err = strconv.Atoi(s); err != nil || v.limit < 1 {
			return v, fmt.Errorf("limit: %.50q: want a number from 1", s)
		}
	}
	if v.filter = strings.ToLower(strings.TrimSpace(q.Get("filter"))); len(v.filter) > mostFilter {
		return v, fmt.Errorf("filter: %d bytes, want at most %d", len(v.filter), mostFilter)
	}
	if v.keysBy, err = parseOrder(q, "keys_by", keyOrders); err != nil {
		return v, err
	}
	v.chatflowsBy, err = parseOrder(q, "chatflows_by", chatflowOrders)
	return v, err
}

func parseOrder(q url.Values, name string, orders []string) (string, error) {
	s := q.Get(name)
	if s != "" && !slices.Contains(orders, s) {
		return "", fmt.Errorf("%s: %.50q: want one of %s", name, s, strings.Join(orders, ", "))
	}
	return s, nil
}

// has reports whether the filter lets a text through.
func (v view) has(s string) bool {
	return v.filter == "" || strings.Contains(strings.ToLower(s), v.filter)
}

func (v view) warnings(s *keystore.Snapshot) []string {
	w := append([]string{}, s.Warnings...)
	if v.limit > 0 && len(w) > v.limit {
		w = append(w[:v.limit], fmt.Sprintf("… and %d more; `flowlatch check --all` shows all", len(w)-v.limit))
	}
	return w
}

// keyStatus returns the keys of the view, and counts all.
func (a *Admin) keyStatus(v view, s *keystore.Snapshot, now time.Time) ([]KeyStatus, KeyCounts) {
	counts := KeyCounts{Total: len(s.Keys())}
	first := firsts[*keystore.Key]{limit: cmp.Or(v.limit, math.MaxInt)}
	for _, k := range s.Keys() {
		validity := k.Validity(now)
		switch validity {
		case keystore.Disabled:
			counts.Disabled++
		case keystore.NotYetValid:
			counts.NotYetValid++
		case keystore.Expired:
			counts.Expired++
		case keystore.Valid:
			counts.Valid++
			if end := k.NotAfter(); !end.IsZero() && end.Sub(now) < ExpiresSoon {
				counts.Expiring++
			}
		}
		if !v.has(k.ID) {
			continue
		}
		counts.Matching++
		rank := int64(counts.Matching) // the order of the file
		switch v.keysBy {
		case "id":
			rank = 0
		case "last_used":
			rank = newest(a.proxy.LastUsed(k.ID))
		case "last_refused":
			rank = newest(a.proxy.KeyUse(k.ID).LastRefused)
		case "expiry":
			rank = soonest(k.NotAfter(), now)
		}
		first.add(k, rank, k.ID)
	}
	keys := []KeyStatus{}
	for _, r := range first.list() {
		keys = append(keys, a.oneKey(r.value, now))
	}
	return keys, counts
}

// newest orders times, the newest first, by the minute: what is in use would otherwise change places all the time.
func newest(t time.Time) int64 { return -(t.Unix() / 60) }

// soonest orders ends: what ends next first, then what has ended, then what never does.
func soonest(end, now time.Time) int64 {
	switch {
	case end.IsZero():
		return math.MaxInt64
	case end.Before(now):
		return math.MaxInt64 - 1 - end.Unix()
	}
	return end.Unix()
}

// chatflowStatus returns the chatflows of the view, and counts all.
func (a *Admin) chatflowStatus(v view, s *keystore.Snapshot) ([]ChatflowStatus, ChatflowCounts) {
	counts := ChatflowCounts{Total: len(s.Chatflows())}
	first := firsts[*keystore.Chatflow]{limit: cmp.Or(v.limit, math.MaxInt)}
	for _, c := range s.Chatflows() {
		if c.Public {
			counts.Public++
		}
		counts.Every = counts.Every || c.ID == keystore.EveryChatflow
		if !v.has(c.ID) && !v.has(c.Name) && !slices.ContainsFunc(c.Keys(), func(k *keystore.Key) bool { return v.has(k.ID) }) {
			continue
		}
		counts.Matching++
		rank := int64(counts.Matching) // the order of the file
		switch counts := a.proxy.ChatflowCounts(c.ID); v.chatflowsBy {
		case "name":
			rank = 0
		case "last_call":
			rank = newest(counts.LastRequest)
		case "last_refused":
			rank = newest(counts.LastRefused)
		case "refused":
			rank = 0
			for _, n := range counts.Refused {
				rank -= int64(n) //nolint:gosec // not in this universe's lifetime
			}
		case "requests":
			rank = -int64(counts.Requests) //nolint:gosec // the same
		}
		first.add(c, rank, strings.ToLower(c.Label()))
	}
	chatflows := []ChatflowStatus{}
	for _, r := range first.list() {
		c := r.value
		chatflows = append(chatflows, ChatflowStatus{
			ID: c.ID, Name: c.Name, Public: c.Public, Keys: v.keysOf(c), KeyCount: len(c.Keys()), CountStatus: countStatus(a.proxy.ChatflowCounts(c.ID)),
		})
	}
	return chatflows, counts
}

// keysOf returns the IDs of a chatflow's keys; where there is a limit, of many those that the filter is about
// come first.
func (v view) keysOf(c *keystore.Chatflow) []string {
	most := len(c.Keys())
	if v.limit > 0 {
		most = min(most, shownKeys)
	}
	ids := make([]string, 0, most)
	for _, filtered := range []bool{true, false} {
		for _, k := range c.Keys() {
			if len(ids) < most && v.has(k.ID) == filtered {
				ids = append(ids, k.ID)
			}
		}
	}
	return ids
}

// firsts keeps the first few of many, without keeping or sorting all.
type firsts[T any] struct {
	limit int
	kept  []ranked[T]
}

type ranked[T any] struct {
	value T
	rank  int64
	name  string // decides between equal ranks
}

func (f *firsts[T]) add(v T, rank int64, name string) {
	f.kept = append(f.kept, ranked[T]{v, rank, name})
	if n := len(f.kept); n > 100 && n/2 > f.limit {
		f.list()
	}
}

// list sorts what is kept and forgets what is too much.
func (f *firsts[T]) list() []ranked[T] {
	slices.SortStableFunc(f.kept, func(a, b ranked[T]) int { return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.name, b.name)) })
	f.kept = f.kept[:min(len(f.kept), f.limit)]
	return f.kept
}
