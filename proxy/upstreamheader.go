package proxy

import (
	"net/http"

	"github.com/flowlatch/flowlatch/proxy/header"
)

// upstreamHeader returns the headers of the request to the upstream, given those of the client's.
func (f *forwarding) upstreamHeader(in http.Header) http.Header {
	o := &f.proxy.opts
	h := header.ForUpstream(in, o.Preset)
	if f.buffered != nil {
		h["Content-Type"] = []string{"application/json"} // as it was read
	}
	h["X-Forwarded-For"] = []string{f.forwardedFor}
	h["X-Request-Id"] = []string{f.id}
	f.trace.Pass(in, h)
	if f.credential != "" {
		h[o.Preset.CredentialHeader] = []string{f.credential}
	}
	if o.IdentityHeaders {
		f.addIdentity(h)
	}
	if u := o.PublicURL; u != nil {
		h["X-Forwarded-Host"] = []string{u.Host}
		h["X-Forwarded-Proto"] = []string{u.Scheme}
	}
	return h
}

// addIdentity tells the upstream which key opened the chatflow, and which chatflow that is. A request that passes without
// a key, because the chatflow is public, has no key ID; one that names no chatflow has no chatflow.
func (a *authorization) addIdentity(h http.Header) {
	if a.Opens {
		h[header.KeyID] = []string{a.Key.ID}
	}
	if a.question.Chatflow != "" {
		h[header.Chatflow] = []string{a.question.Chatflow}
	}
}
