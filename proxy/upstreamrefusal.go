package proxy

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// refusedByUpstream reports whether the gate allowed the request and the upstream refused it.
func (x *exchange) refusedByUpstream() bool {
	if !x.Allowed || x.err != nil || x.Preflight || x.Route.Access == route.Public {
		return false
	}
	return x.response.wantsOwnKey || x.response.status == http.StatusUnauthorized || x.response.status == http.StatusForbidden
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

// noteBeginning looks in the first bytes of a response's body for an error that its status does not show.
func (w *responseWriter) noteBeginning(p []byte) {
	p = p[:min(len(p), maxErrorText)]
	w.wantsOwnKey = slices.ContainsFunc(w.exchange.proxy.opts.Preset.KeyErrors, func(text string) bool { return bytes.Contains(p, []byte(text)) })
}

// maxErrorText is how many bytes of a response are searched for an error.
const maxErrorText = 1 << 10
