package proxy

import (
	"net/http"

	"github.com/flowlatch/flowlatch/proxy/header"
)

// upstreamHeader returns the headers of the request to the upstream, given those of the client's.
func (f *forwarding) upstreamHeader(in http.Header) http.Header {
	p := f.proxy
	preset, publicURL := p.opts.Preset, p.opts.PublicURL
	h := make(http.Header, len(in)+4)
	for name, values := range in {
		if !header.DropsFromRequest(name) && !preset.DropsHeader(name) {
			h[name] = values
		}
	}
	header.RemoveListed(h, in["Connection"])
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		if v, ok := in[name]; ok && !f.Preflight {
			h[name] = v // a client's Connection header must not remove what says how to read the body
		}
	}
	if f.buffered != nil {
		h["Content-Type"] = []string{"application/json"} // as it was read
	}
	h["X-Forwarded-For"] = []string{f.forwardedFor}
	h["X-Request-Id"] = []string{f.id}
	f.trace.Pass(in, h)
	if f.credential != "" {
		h[preset.CredentialHeader] = []string{f.credential}
	}
	if p.opts.IdentityHeaders && !f.Preflight {
		f.addIdentity(h)
	}
	if publicURL != nil {
		h["X-Forwarded-Host"] = []string{publicURL.Host}
		h["X-Forwarded-Proto"] = []string{publicURL.Scheme}
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
