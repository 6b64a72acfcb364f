package admin

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/header"
)

// view says which keys and chatflows a status has, and in which order. The zero value means all, in the order of
// the file.
type view struct {
	limit       int    // keys, chatflows and warnings at most; 0 for no limit
	filter      string // lower case: part of an ID, a name or the ID of a chatflow's key
	keysBy      string
	chatflowsBy string
	idsOnly     bool   // leaves out what is expensive, because only the IDs are used
	requestID   string // ID, or the beginning of one; then its refusals are all that is shown
}

const (
	mostFilter    = 200 // bytes of a filter
	shownKeys     = 20  // of one chatflow, where there is a limit
	shownExpiring = 5
	shownPublic   = 20
)

// parseView reads a view from the query of `GET /status`. It ignores parameters that it does not know, as all were
// ignored before there were any.
func parseView(q url.Values) (v view, err error) {
	if s := q.Get("limit"); s != "" {
		if v.limit, err = strconv.Atoi(s); err != nil || v.limit < 1 {
			return v, fmt.Errorf("limit: %.50q: want a number from 1", s)
		}
	}
	if v.filter = strings.ToLower(strings.TrimSpace(q.Get("filter"))); len(v.filter) > mostFilter {
		return v, fmt.Errorf("filter: %d bytes, want at most %d", len(v.filter), mostFilter)
	}
	if v.requestID = q.Get("request_id"); v.requestID != "" && !header.IsRequestID(v.requestID) {
		return v, fmt.Errorf("request_id: %.70q: want 8 to 64 letters, digits, `.`, `_` and `-`: an ID or how it begins", v.requestID)
	}
	if v.keysBy, err = parseOrder(q, "keys_by", keyRanks); err != nil {
		return v, err
	}
	v.chatflowsBy, err = parseOrder(q, "chatflows_by", chatflowRanks)
	return v, err
}

// parseOrder reads what to order a list by. A - before it reverses the order.
func parseOrder[F any](q url.Values, name string, ranks map[string]F) (string, error) {
	s := q.Get(name)
	if _, known := ranks[strings.TrimPrefix(s, "-")]; s != "" && !known {
		return "", fmt.Errorf("%s: %.50q: want one of %s, or - and one of them", name, s, strings.Join(slices.Sorted(maps.Keys(ranks)), ", "))
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

func count(n uint64) int64 { return int64(n) } //nolint:gosec // not in this universe's lifetime

// keyFiles returns the state of the key files of a directory. If there are more than the limit, it returns only files
// that have a fault, at most as many as the limit.
func (v view) keyFiles(files []keystore.FileStatus) (shown []FileStatus) {
	for _, f := range files {
		if v.limit == 0 || len(files) <= v.limit || f.Err != nil && len(shown) < v.limit {
			shown = append(shown, FileStatus{File: f.File, Stale: f.Err != nil, Fault: reason(f.Err), Keys: f.Keys, Chatflows: f.Chatflows})
		}
	}
	return shown
}

// idsOf returns the IDs of a chatflow's keys, those that match the filter first. If the view has a limit, it returns at
// most shownKeys.
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
