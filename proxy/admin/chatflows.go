package admin

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// ChatflowCounts counts all chatflows.
type ChatflowCounts struct {
	Total  int `json:"total"`
	Public int `json:"public"`
	// Every says that there is an entry "*", and EveryOpenTo how many of its keys are valid now.
	Every       bool `json:"every"`
	EveryOpenTo int  `json:"every_open_to"`
	Matching    int  `json:"matching"`
}

// ChatflowStatus is one chatflow.
type ChatflowStatus struct {
	ID       string   `json:"id"`
	Name     string   `json:"name,omitempty"`
	Public   bool     `json:"public"`
	Keys     []string `json:"keys"`
	KeyCount int      `json:"key_count"` // more than Keys has, if that was shortened
	// OpenTo are those of its keys that are valid now.
	OpenTo      []string `json:"open_to"`
	OpenToCount int      `json:"open_to_count"`
	CountStatus
}

// chatflowRanks are what chatflows can be ordered by, like keyRanks for keys.
var chatflowRanks = map[string]func(stats.Counts) int64{
	"file":         nil,
	"name":         func(stats.Counts) int64 { return 0 },
	"last_call":    func(c stats.Counts) int64 { return newest(c.LastRequest) },
	"last_refused": func(c stats.Counts) int64 { return newest(c.LastRefused) },
	"refused":      func(c stats.Counts) int64 { return -count(refused(c)) },
	"requests":     func(c stats.Counts) int64 { return -count(c.Requests) },
	"failed":       func(c stats.Counts) int64 { return -count(c.Failed) },
	"streams":      func(c stats.Counts) int64 { return -c.Streams },
}

// chatflowStatus returns the chatflows of the view, and counts all chatflows.
func (a *Admin) chatflowStatus(v view, s *keystore.Snapshot, now time.Time) ([]ChatflowStatus, ChatflowCounts) {
	counts := ChatflowCounts{Total: len(s.Chatflows())}
	name, reversed := strings.CutPrefix(v.chatflowsBy, "-")
	by := chatflowRanks[name]
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
		if by != nil {
			rank = by(a.proxy.Stats().ChatflowCounts(c.ID))
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

// publicChatflows returns the labels of the first chatflows that need no key.
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
