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

// RefusalStatus is one request that was refused, could not be served, or was cut.
type RefusalStatus struct {
	Time      time.Time    `json:"time"`
	RequestID string       `json:"request_id"`
	Client    netip.Addr   `json:"client"`
	Method    string       `json:"method"`
	Route     string       `json:"route,omitempty"`
	Chatflow  string       `json:"chatflow,omitempty"`
	Key       string       `json:"key,omitempty"`
	Status    int          `json:"status"`
	Code      problem.Code `json:"code"`
	Reason    string       `json:"reason,omitempty"`
}

// RefusedKeyStatus is a known key that was refused for one reason.
type RefusedKeyStatus struct {
	Key    string       `json:"key"`
	Code   problem.Code `json:"code"`
	Reason string       `json:"reason"`
	// Count is how often, as far as it is remembered.
	Count  int        `json:"count"`
	Last   time.Time  `json:"last"`
	Client netip.Addr `json:"client"` // of the last request
}

// UpstreamRefusalStatus is the last request for a chatflow that the gate allowed and the upstream refused.
type UpstreamRefusalStatus struct {
	Time     time.Time `json:"time"`
	Chatflow string    `json:"chatflow,omitempty"`
	Route    string    `json:"route"`
	Status   int       `json:"status"`
	Hint     string    `json:"hint"`
}

// refusalsResponse is the response to `GET /status?request_id=ID`.
type refusalsResponse struct {
	Refusals []RefusalStatus `json:"refusals"`
}

const (
	shownRefusals   = 20
	shownRefused    = 10 // keys and reasons
	refusedKeysTime = time.Hour
)

// refusalStatus returns the refusals of the view.
func (a *Admin) refusalStatus(v view) []RefusalStatus {
	list := []RefusalStatus{}
	for _, r := range a.proxy.Stats().Refusals() {
		if len(list) < shownRefusals && v.hasRefusal(r) {
			list = append(list, RefusalStatus{
				Time: r.Time.UTC(), RequestID: r.RequestID, Client: r.Client, Method: r.Method, Route: r.Route,
				Chatflow: r.Chatflow, Key: r.Key, Status: r.Status, Code: r.Code, Reason: r.Reason,
			})
		}
	}
	return list
}

func (v view) hasRefusal(r *stats.Refusal) bool {
	if v.requestID != "" {
		return strings.HasPrefix(r.RequestID, v.requestID)
	}
	return v.has(r.RequestID) || v.has(r.Key) || v.has(r.Chatflow) || v.has(r.Client.String()) || v.has(string(r.Code))
}

// upstreamRefusals returns chatflows whose requests the upstream refuses.
func (a *Admin) upstreamRefusals(s *keystore.Snapshot) []UpstreamRefusalStatus {
	list := []UpstreamRefusalStatus{}
	for _, r := range a.proxy.Stats().UpstreamRefusals() {
		label := ""
		if c := s.Entry(r.Chatflow); c != nil {
			label = c.Label()
		} else if r.Chatflow != "" {
			continue // it has left the key file
		}
		if len(list) < shownRefusals {
			list = append(list, UpstreamRefusalStatus{Time: r.Time.UTC(), Chatflow: label, Route: r.Route, Status: r.Status, Hint: r.Hint})
		}
	}
	return list
}

// refusedKeys returns the known keys that were refused lately. Whoever has such a key is somebody: a partner whose key has
// expired, or a program with the wrong one.
func (a *Admin) refusedKeys(now time.Time) []RefusedKeyStatus {
	list := []RefusedKeyStatus{}
	for _, r := range a.proxy.Stats().Refusals() {
		refused := r.Code.Index() >= 0 && r.Status < 500 // and not cut, or not served
		if r.Key == "" || !refused || now.Sub(r.Time) > refusedKeysTime {
			continue
		}
		i := slices.IndexFunc(list, func(k RefusedKeyStatus) bool { return k.Key == r.Key && k.Code == r.Code && k.Reason == r.Reason })
		if i < 0 {
			list = append(list, RefusedKeyStatus{Key: r.Key, Code: r.Code, Reason: r.Reason, Last: r.Time.UTC(), Client: r.Client})
			i = len(list) - 1
		}
		list[i].Count++
	}
	return list[:min(len(list), shownRefused)]
}
