package admin

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/stats"
)

// RefusedKeyStatus is a known key that was refused for one reason.
type RefusedKeyStatus struct {
	Key    string       `json:"key"`
	Code   problem.Code `json:"code"`
	Reason string       `json:"reason"`
	// Count is how often, among the refusals that are remembered.
	Count  int        `json:"count"`
	Last   time.Time  `json:"last"`
	Client netip.Addr `json:"client"` // of the last request
}

// refusalsResponse is the response to `GET /status?request_id=ID`.
type refusalsResponse struct {
	Refusals []*stats.Refusal `json:"refusals"`
}

const (
	shownRefusals   = 20
	shownRefused    = 10 // keys and reasons
	refusedKeysTime = time.Hour
)

// refusals returns the last refusals that the view lets through.
func (a *Admin) refusals(v view) []*stats.Refusal {
	list := slices.DeleteFunc(a.proxy.Stats().Refusals(), func(r *stats.Refusal) bool { return !v.hasRefusal(r) })
	return list[:min(len(list), shownRefusals)]
}

func (v view) hasRefusal(r *stats.Refusal) bool {
	if v.requestID != "" {
		return strings.HasPrefix(r.RequestID, v.requestID)
	}
	return v.has(r.RequestID) || v.has(r.Key) || v.has(r.Chatflow) || v.has(r.Client.String()) || v.has(string(r.Code))
}

// upstreamRefusals returns the last requests that the upstream refused, with the labels of their chatflows. Those of
// chatflows that are no longer in the key file are left out.
func (a *Admin) upstreamRefusals(s *keystore.Snapshot) []stats.UpstreamRefusal {
	list := []stats.UpstreamRefusal{}
	for _, last := range a.proxy.Stats().UpstreamRefusals() {
		r, c := *last, s.Entry(last.Chatflow)
		if c == nil && r.Chatflow != "" || len(list) >= shownRefusals {
			continue
		}
		if c != nil {
			r.Chatflow = c.Label()
		}
		list = append(list, r)
	}
	return list
}

// refusedKeys returns the known keys that were refused lately. Such a key belongs to somebody whom the operator knows:
// a partner whose key has expired, or a program that has the wrong one.
func (a *Admin) refusedKeys(now time.Time) []RefusedKeyStatus {
	list := []RefusedKeyStatus{}
	for _, r := range a.proxy.Stats().Refusals() {
		refused := r.Code.Index() >= 0 && r.Status < 500 // and neither a stream that was cut nor a failure to serve
		if r.Key == "" || !refused || now.Sub(r.Time) > refusedKeysTime {
			continue
		}
		i := slices.IndexFunc(list, func(k RefusedKeyStatus) bool { return k.Key == r.Key && k.Code == r.Code && k.Reason == r.Reason })
		if i < 0 {
			list = append(list, RefusedKeyStatus{Key: r.Key, Code: r.Code, Reason: r.Reason, Last: r.Time, Client: r.Client})
			i = len(list) - 1
		}
		list[i].Count++
	}
	return list[:min(len(list), shownRefused)]
}
