package stats

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// Refusal is a request that was refused, could not be served, or was cut, with the fields of its log line. Nothing in it
// was freely chosen by the client.
type Refusal struct {
	Time      time.Time    `json:"time"` // when the request ended, in UTC
	RequestID string       `json:"request_id"`
	Client    netip.Addr   `json:"client"`
	Method    string       `json:"method"`
	Route     string       `json:"route,omitempty"`    // this and the next two are empty if not known
	Chatflow  string       `json:"chatflow,omitempty"` // its label
	Key       string       `json:"key,omitempty"`      // its ID
	Status    int          `json:"status"`
	Code      problem.Code `json:"code"`
	Reason    string       `json:"reason,omitempty"`
}

// maxRefusals is how many refusals of each kind are remembered.
const maxRefusals = 512

// refusals remembers the last requests that were refused or failed. A request adds itself without a lock, so readers
// never make it wait. Requests without a known key have a ring of their own, so that they cannot push out what happened
// to key holders.
type refusals struct{ strangers, others refusalRing }

// refusalRing holds the last refusals, in any order.
type refusalRing struct {
	added atomic.Uint64
	slots [maxRefusals]atomic.Pointer[Refusal]
}

func (r *refusalRing) add(refusal *Refusal) {
	r.slots[(r.added.Add(1)-1)%maxRefusals].Store(refusal)
}

// note remembers a request that has ended if it was refused or failed. A client that left counts as neither.
func (r *refusals) note(ended *Request) {
	if ended.Err == nil || ended.Err.Code == problem.ClientClosed {
		return
	}
	l := ended.labels()
	refusal := &Refusal{
		Time: ended.Ended.UTC(), RequestID: ended.ID, Client: ended.Client, Method: ended.Method,
		Route: l.route, Chatflow: l.chatflow, Key: l.key, Status: l.status, Code: ended.Err.Code, Reason: cmp.Or(ended.Err.Reason, ended.Err.Detail),
	}
	if ended.Key == nil && !ended.Allowed {
		r.strangers.add(refusal)
		return
	}
	r.others.add(refusal)
}

// Refusals returns the last requests that were refused or failed, newest first: up to 512 without a known key, and up to
// 512 others. They must not be changed.
func (s *Stats) Refusals() []*Refusal {
	list := make([]*Refusal, 0, 2*maxRefusals)
	for _, ring := range []*refusalRing{&s.refusals.others, &s.refusals.strangers} {
		for i := range ring.slots {
			if refusal := ring.slots[i].Load(); refusal != nil {
				list = append(list, refusal)
			}
		}
	}
	slices.SortFunc(list, func(a, b *Refusal) int { return b.Time.Compare(a.Time) })
	return list
}
