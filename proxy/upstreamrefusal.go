package proxy

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// UpstreamRefusal is a request that the gate allowed and the upstream refused, because it wants something of its own, mostly a credential.
type UpstreamRefusal struct {
	Time     time.Time // when the request ended
	Chatflow string    // its ID; empty if the key file does not list it
	Route    string
	Status   int
	Hint     string // what the upstream wants, and what to set
}

// upstreamRefusals remembers the last such request for one chatflow, until one for the same route succeeds.
type upstreamRefusals struct {
	last   atomic.Pointer[UpstreamRefusal]
	hinted atomic.Int64 // when a log line had a hint, in nanoseconds since 1970
}

// hintEvery is how often the log may have a hint for a chatflow.
const hintEvery = time.Minute

// note remembers a request that ended at a time, and sets its hint if the log line should have one.
func (u *upstreamRefusals) note(x *exchange, at time.Time) {
	if !x.refusedByUpstream() {
		if last := u.last.Load(); last != nil && x.succeeded() && last.Route == x.Route.Label() {
			u.last.Store(nil)
		}
		return
	}
	hinted := u.hinted.Load()
	due := at.UnixNano()-hinted >= int64(hintEvery) && u.hinted.CompareAndSwap(hinted, at.UnixNano())
	if !due && u.last.Load() != nil {
		return
	}
	refusal := &UpstreamRefusal{Time: at, Route: x.Route.Label(), Status: x.response.status, Hint: x.upstreamHint()}
	if x.Entry != nil {
		refusal.Chatflow = x.Entry.ID
	}
	u.last.Store(refusal)
	if due {
		x.hint = refusal.Hint
	}
}

// refusedByUpstream reports whether the request was allowed, and the upstream refused it.
func (x *exchange) refusedByUpstream() bool {
	if !x.Allowed || x.err != nil || x.Preflight || x.Route.Access == route.Public {
		return false
	}
	return x.response.wantsOwnKey || x.response.status == http.StatusUnauthorized || x.response.status == http.StatusForbidden
}

func (x *exchange) succeeded() bool {
	return x.Allowed && x.err == nil && x.response.status < 400 && x.Route != nil
}

// upstreamHint says what the upstream wants, and what to set.
func (x *exchange) upstreamHint() string {
	preset := x.proxy.opts.Preset
	wants := cmp.Or(x.Route.UpstreamKey, preset.UpstreamKey)
	if x.response.wantsOwnKey {
		wants = preset.UpstreamKey
	}
	var hint string
	switch u := x.proxy.authorizationFor(x.Entry); {
	case x.Route.UpstreamNeeds != "" && !x.response.wantsOwnKey:
		hint = "the upstream wants " + x.Route.UpstreamNeeds
	case u.Mode == keystore.UpstreamFile:
		hint = "the upstream did not accept the credential in " + u.Path + "; it wants " + wants
	case u.Mode == keystore.UpstreamForward && x.Bearer.Token != "":
		hint = "the upstream did not accept the client's key, which was forwarded; it wants " + wants
	default:
		hint = "the upstream was sent no credential, and wants " + wants + "; " + setUpstreamKey
	}
	if x.response.status == http.StatusForbidden && preset.OtherForbidden != "" {
		hint += "; or " + preset.OtherForbidden
	}
	return hint
}

// setUpstreamKey says how the upstream gets a credential of its own.
const setUpstreamKey = "set upstream_authorization of the chatflow, or --upstream-authorization for all: forward if that is the key that clients send, or file:PATH for the gate to send it"

// noteBeginning looks at the first bytes of a response's body for an error that is not in its status.
func (w *responseWriter) noteBeginning(p []byte) {
	p = p[:min(len(p), maxErrorText)]
	w.wantsOwnKey = slices.ContainsFunc(w.exchange.proxy.opts.Preset.KeyErrors, func(text string) bool { return bytes.Contains(p, []byte(text)) })
}

// maxErrorText is how many bytes of a response are searched for an error.
const maxErrorText = 1 << 10

// UpstreamRefusals returns the last requests that the upstream refused, one at most for each chatflow, the newest first.
// They must not be changed.
func (p *Proxy) UpstreamRefusals() (list []*UpstreamRefusal) {
	add := func(c *counters) {
		if last := c.upstreamRefusals.last.Load(); last != nil {
			list = append(list, last)
		}
	}
	add(&p.counters.unlisted)
	p.counters.byID.Range(func(_, c any) bool { add(c.(*counters)); return true })
	slices.SortFunc(list, func(a, b *UpstreamRefusal) int { return b.Time.Compare(a.Time) })
	return list
}
