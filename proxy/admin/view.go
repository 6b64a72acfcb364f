package admin

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"regexp"
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
	idsOnly     bool   // leaves out what costs more, and nobody looks at
	requestID   string // of the refusals, which are then all that is shown; or how it begins
}

// What a view can be ordered by. With - before it, the order is reversed.
var (
	keyOrders      = []string{"file", "last_used", "last_refused", "refused", "requests", "expiry", "id"}
	chatflowOrders = []string{"file", "last_call", "last_refused", "refused", "requests", "failed", "streams", "name"}
)

const (
	mostFilter    = 200 // bytes of a filter
	shownKeys     = 20  // of one chatflow, where there is a limit
	shownExpiring = 5
	shownPublic   = 20
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
	if v.requestID = q.Get("request_id"); v.requestID != "" && !requestIDPattern.MatchString(v.requestID) {
		return v, fmt.Errorf("request_id: %.70q: want 8 to 64 letters, digits, `.`, `_` and `-`: an ID or how it begins", v.requestID)
	}
	if v.keysBy, err = parseOrder(q, "keys_by", keyOrders); err != nil {
		return v, err
	}
	v.chatflowsBy, err = parseOrder(q, "chatflows_by", chatflowOrders)
	return v, err
}

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

func parseOrder(q url.Values, name string, orders []string) (string, error) {
	s := q.Get(name)
	if s != "" && !slices.Contains(orders, strings.TrimPrefix(s, "-")) {
		return "", fmt.Errorf("%s: %.50q: want one of %s, or - and one of them", name, s, strings.Join(orders, ", "))
	}
	return s, nil
}

// small reports whether the view has few keys.
func (v view) small() bool { return v.limit > 0 && v.limit <= smallView }

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

// keyStatus returns the keys of the view and those that expire soon, and counts all.
func (a *Admin) keyStatus(v view, s *keystore.Snapshot, now time.Time) (_ []KeyStatus, expiring []ExpiringStatus, counts KeyCounts) {
	counts = KeyCounts{Total: len(s.Keys())}
	keysBy, reversed := strings.CutPrefix(v.keysBy, "-")
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
		switch keysBy {
		case "id":
			rank = 0
		case "last_used":
			rank = newest(a.proxy.Stats().LastUsed(k.ID))
		case "last_refused":
			rank = newest(a.proxy.Stats().KeyUse(k.ID).LastRefused)
		case "refused":
			rank = -count(refused(a.proxy.Stats().KeyUse(k.ID).Counts))
		case "requests":
			rank = -count(a.proxy.Stats().KeyUse(k.ID).Requests)
		case "expiry":
			rank = soonest(k.NotAfter(), now)
		}
		first.add(k, rank, k.ID)
	}
	keys := []KeyStatus{}
	for _, r := range first.list() {
		one := a.oneKey(r.value, now)
		if v.small() && !v.idsOnly { // of many keys, that would cost memory here and in Redis, also for those that nobody uses
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
func (a *Admin) chatflowStatus(v view, s *keystore.Snapshot, now time.Time) ([]ChatflowStatus, ChatflowCounts) {
	counts := ChatflowCounts{Total: len(s.Chatflows())}
	chatflowsBy, reversed := strings.CutPrefix(v.chatflowsBy, "-")
	first := firsts[*keystore.Chatflow]{limit: cmp.Or(v.limit, math.MaxInt), reversed: reversed}
	for _, c := range s.Chatflows() {
		if c.Public {
			counts.Public++
		}
		if c.ID == keystore.EveryChatflow {
			counts.Every, counts.EveryOpenTo = true, len(validKeys(c, now))
		}
		if !v.has(c.ID) && !v.has(c.Name) && !slices.ContainsFunc(c.Keys(), func(k *keystore.Key) bool { return v.has(k.ID) }) {
			continue
		}
		counts.Matching++
		rank := int64(counts.Matching) // the order of the file
		switch counts := a.proxy.Stats().ChatflowCounts(c.ID); chatflowsBy {
		case "name":
			rank = 0
		case "last_call":
			rank = newest(counts.LastRequest)
		case "last_refused":
			rank = newest(counts.LastRefused)
		case "refused":
			rank = -count(refused(counts))
		case "requests":
			rank = -count(counts.Requests)
		case "failed":
			rank = -count(counts.Failed)
		case "streams":
			rank = -counts.Streams
		}
		first.add(c, rank, strings.ToLower(c.Label()))
	}
	chatflows := []ChatflowStatus{}
	for _, r := range first.list() {
		c := r.value
		open := validKeys(c, now)
		chatflows = append(chatflows, ChatflowStatus{
			ID: c.ID, Name: c.Name, Public: c.Public, Keys: v.idsOf(c.Keys()), KeyCount: len(c.Keys()), OpenTo: v.idsOf(open), OpenToCount: len(open),
			CountStatus: countStatus(a.proxy.Stats().ChatflowCounts(c.ID)),
		})
	}
	return chatflows, counts
}

// publicChatflows returns the first of the chatflows that need no key.
func publicChatflows(s *keystore.Snapshot) []string {
	labels := []string{}
	if !s.AnyPublic() {
		return labels
	}
	for _, c := range s.Chatflows() {
		if c.Public && len(labels) < shownPublic {
			labels = append(labels, c.Label())
		}
	}
	return labels
}

// validKeys returns the keys of a chatflow that open it now: without the disabled, the expired and the future ones.
func validKeys(c *keystore.Chatflow, now time.Time) (valid []*keystore.Key) {
	for _, k := range c.Keys() {
		if k.Validity(now) == keystore.Valid {
			valid = append(valid, k)
		}
	}
	return valid
}

func count(n uint64) int64 { return int64(n) } //nolint:gosec // not in this universe's lifetime

// keyFiles returns the state of the key files of a directory; where there is a limit, of many those that have a fault.
func (v view) keyFiles(files []keystore.FileStatus) (shown []FileStatus) {
	for _, f := range files {
		if v.limit == 0 || len(files) <= v.limit || f.Err != nil && len(shown) < v.limit {
			shown = append(shown, FileStatus{File: f.File, Stale: f.Err != nil, Fault: reason(f.Err), Keys: f.Keys, Chatflows: f.Chatflows})
		}
	}
	return shown
}

// idsOf returns the IDs of a chatflow's keys; where there is a limit, of many those that the filter is about come first.
func (v view) idsOf(keys []*keystore.Key) []string {
	most := len(keys)
	if v.limit > 0 {
		most = min(most, shownKeys)
	}
	ids := make([]string, 0, most)
	for _, filtered := range []bool{true, false} {
		for _, k := range keys {
			if len(ids) < most && v.has(k.ID) == filtered {
				ids = append(ids, k.ID)
			}
		}
	}
	return ids
}

// firsts keeps the first few of many, without keeping or sorting all.
type firsts[T any] struct {
	limit    int
	reversed bool // the last ones come first
	kept     []ranked[T]
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
	slices.SortStableFunc(f.kept, func(a, b ranked[T]) int {
		if f.reversed {
			a, b = b, a
		}
		return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.name, b.name))
	})
	f.kept = f.kept[:min(len(f.kept), f.limit)]
	return f.kept
}
