package proxy

import (
	"net/http"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/header"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// upstreamHeader returns the headers for the request to the upstream. in are those of the client's.
func (f *forwarding) upstreamHeader(in http.Header) http.Header {
	o := &f.proxy.opts
	h := header.ForUpstream(in, o.Preset)
	if f.buffered != nil {
		h["Content-Type"] = []string{"application/json"} // the type as which it was read
	}
	h["X-Forwarded-For"] = []string{f.forwardedFor}
	h["X-Request-Id"] = []string{f.id}
	f.trace.Pass(in, h)
	if f.credential != "" {
		h[o.Preset.CredentialHeader] = []string{f.credential}
	}
	if o.IdentityHeaders && f.Opens { // not if the chatflow is public and no key opened it
		h[header.KeyID] = []string{f.Key.ID}
	}
	if o.IdentityHeaders && f.question.Chatflow != "" {
		h[header.Chatflow] = []string{f.question.Chatflow}
	}
	if u := o.PublicURL; u != nil {
		h["X-Forwarded-Host"] = []string{u.Host}
		h["X-Forwarded-Proto"] = []string{u.Scheme}
	}
	return h
}

// upstreamCredential returns the value of the credential header for the upstream, or "".
func (p *Proxy) upstreamCredential(a authorization) (string, *problem.Error) {
	if a.Preflight || a.Route.Access == route.Public {
		return "", nil
	}
	chatflow := a.Entry
	switch u := p.authorizationFor(chatflow); u.Mode {
	case keystore.UpstreamForward:
		if a.Bearer.Token != "" && a.question.Page.Token == nil { // a browser token is the gate's own
			return p.opts.Preset.Credential(a.Bearer.Token), nil
		}
	case keystore.UpstreamFile:
		if !a.Opens && (chatflow == nil || !chatflow.Public) {
			return "", nil // let in for discovery: these clients do not get the upstream's own credential
		}
		v, err := p.credentials.Value(u.Path, a.now)
		if err != nil {
			return "", &problem.Error{Code: problem.UpstreamUnreachable, Detail: "the upstream cannot be reached", Reason: err.Error()}
		}
		return v, nil
	}
	return "", nil
}

// authorizationFor returns which credential is sent for a chatflow, which may be nil.
func (p *Proxy) authorizationFor(c *keystore.Chatflow) keystore.UpstreamAuthorization {
	if c != nil && c.UpstreamAuthorization.Mode != keystore.UpstreamDefault {
		return c.UpstreamAuthorization
	}
	return p.opts.UpstreamAuthorization
}
