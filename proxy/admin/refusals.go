package admin

import (
	"net/netip"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
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

// refusalsResponse is the response to `GET /status?request_id=ID`.
type refusalsResponse struct {
	Refusals []RefusalStatus `json:"refusals"`
}

// shownRefusals is how many refusals a status has.
const shownRefusals = 20

// refusalStatus returns the refusals of the view.
func (a *Admin) refusalStatus(v view) []RefusalStatus {
	list := []RefusalStatus{}
	for _, r := range a.proxy.Refusals() {
		if len(list) < shownRefusals && v.hasRefusal(r) {
			list = append(list, RefusalStatus{
				Time: r.Time.UTC(), RequestID: r.RequestID, Client: r.Client, Method: r.Method, Route: r.Route,
				Chatflow: r.Chatflow, Key: r.Key, Status: r.Status, Code: r.Code, Reason: r.Reason,
			})
		}
	}
	return list
}

func (v view) hasRefusal(r *proxy.Refusal) bool {
	if v.requestID != "" {
		return strings.HasPrefix(r.RequestID, v.requestID)
	}
	return v.has(r.RequestID) || v.has(r.Key) || v.has(r.Chatflow) || v.has(r.Client.String()) || v.has(string(r.Code))
}
