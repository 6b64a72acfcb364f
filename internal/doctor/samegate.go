package doctor

import (
	"encoding/json"
	"net/url"
	"slices"
	"time"
)

const adminCheck = "--admin"

const (
	// gateTries is how many requests are sent to find a gate that shares an address with others. With this many, one of
	// five replicas is missed once in 86 times.
	gateTries = 20
	// noteTime is how long it may take, after the response, until a refusal can be looked up.
	noteTime = 25 * time.Millisecond
)

// sameGate proves that the admin listener belongs to the gate that clients reach: it looks there for a request that the
// gate has just refused, by an ID that nobody else has. If it finds one, it sets e.status to the gate's status.
func (e *examination) sameGate() {
	status, err := Status(e.Admin, shownChatflows)
	e.adminErr = err
	if err != nil {
		result := NotChecked
		if e.AdminNamed {
			result = Fault
		}
		e.add(adminCheck, result, "%v; name the gate's admin listener with --admin, and its keys, --keys and --upstream are checked, too", err)
		return
	}
	if !e.isGate {
		e.add(adminCheck, NotChecked, "%s is not answered by flowlatch, so it was not looked for the gate that %s belongs to", e.URL, e.Admin)
		return
	}
	sent, found, err := e.findRefusal()
	switch {
	case err != nil:
		e.add(adminCheck, NotChecked, "that %s belongs to the gate at %s could not be proved: %v", e.Admin, e.URL, err)
	case found:
		e.status = &status
		e.add(adminCheck, OK, "%s belongs to the gate at %s: it knows a request that was refused there", e.Admin, e.URL)
	default:
		e.add(adminCheck, Fault, "%s belongs to another gate than %s, or to another of its replicas: it knows none of %d requests that were refused there; name the admin listener of the same gate", e.Admin, e.URL, sent)
	}
}

// findRefusal reports whether the admin listener knows one of the requests that the gate refuses, and how many were sent.
func (e *examination) findRefusal() (sent int, found bool, err error) {
	ids := []string{e.refusedID}
	for range gateTries {
		for _, id := range ids[max(0, len(ids)-2):] {
			if found, err = knowsRefusal(e.Admin, id); found || err != nil {
				return len(ids), found, err
			}
		}
		r, err := e.callNobody(e.URL, e.Certificates)
		if err != nil {
			return len(ids), false, err
		}
		ids = append(ids, r.requestID)
		time.Sleep(noteTime)
	}
	for _, id := range slices.Backward(ids) { // a gate with much to do may have been slow to note them
		if found, err = knowsRefusal(e.Admin, id); found || err != nil {
			break
		}
	}
	return len(ids), found, err
}

// knowsRefusal reports whether the gate of an admin listener has refused the request with an ID.
func knowsRefusal(addr, id string) (bool, error) {
	if id == "" {
		return false, nil // of a response that was not a refusal
	}
	body, err := Ask(addr, "/status?request_id="+url.QueryEscape(id))
	type refusal struct {
		RequestID string `json:"request_id"`
	}
	var found struct{ Refusals []refusal }
	if err == nil {
		err = json.Unmarshal(body, &found)
	}
	return slices.ContainsFunc(found.Refusals, func(r refusal) bool { return r.RequestID == id }), err
}
