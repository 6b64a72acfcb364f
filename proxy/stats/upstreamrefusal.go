package stats

import (
	"slices"
	"sync/atomic"
	"time"
)

// UpstreamRefusal is a request that the gate allowed and the upstream refused because it wants something of its own,
// usually a credential.
type UpstreamRefusal struct {
	Time     time.Time `json:"time"`               // when the request ended, in UTC
	Chatflow string    `json:"chatflow,omitempty"` // its ID; empty if the key file does not list it
	Route    string    `json:"route"`
	Status   int       `json:"status"`
	Hint     string    `json:"hint"` // what the upstream wants, and what to set
}

// upstreamRefusal remembers the last such request for one chatflow, until a request on the same route succeeds.
type upstreamRefusal struct {
	last   atomic.Pointer[UpstreamRefusal]
	hinted atomic.Int64 // when a log line last had a hint, in nanoseconds since 1970
}

// hintEvery is how often the log may have a hint for one chatflow.
const hintEvery = time.Minute

// note remembers a request that the upstream refused. If the request succeeded, note forgets a refusal on the same route.
// It returns the hint for the log line, if one is due.
func (u *upstreamRefusal) note(r *Request) (hint string) {
	if r.UpstreamHint == nil {
		if last := u.last.Load(); last != nil && r.succeeded() && last.Route == r.Route {
			u.last.Store(nil)
		}
		return ""
	}
	hinted := u.hinted.Load()
	due := r.Ended.UnixNano()-hinted >= int64(hintEvery) && u.hinted.CompareAndSwap(hinted, r.Ended.UnixNano())
	if !due && u.last.Load() != nil {
		return ""
	}
	refusal := &UpstreamRefusal{Time: r.Ended.UTC(), Route: r.Route, Status: r.Status, Hint: r.UpstreamHint()}
	if r.Chatflow != nil {
		refusal.Chatflow = r.Chatflow.ID
	}
	u.last.Store(refusal)
	if !due {
		return ""
	}
	return refusal.Hint
}

func (r *Request) succeeded() bool { return r.Allowed && r.Err == nil && r.Status < 400 }

// UpstreamRefusals returns the last requests that the upstream refused, at most one for each chatflow, newest first. They
// must not be changed.
func (s *Stats) UpstreamRefusals() (list []*UpstreamRefusal) {
	add := func(c *counters) {
		if last := c.upstreamRefusal.last.Load(); last != nil {
			list = append(list, last)
		}
	}
	add(&s.chatflows.unlisted)
	s.chatflows.byID.Range(func(_, c any) bool { add(c.(*counters)); return true })
	slices.SortFunc(list, func(a, b *UpstreamRefusal) int { return b.Time.Compare(a.Time) })
	return list
}
