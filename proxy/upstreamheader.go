package proxy

import (
	"net/http"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// upstreamHeader returns the headers of the request to the upstream, given those of the client's.
func (f *forwarding) upstreamHeader(in http.Header) http.Header {
	p := f.proxy
	preset, publicURL := p.opts.Preset, p.opts.PublicURL
	h := make(http.Header, len(in)+4)
	for name, values := range in {
		if !dropsFromRequest(name) && !preset.DropsHeader(name) {
			h[name] = values
		}
	}
	removeListed(h, in["Connection"])
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
	f.trace.pass(in, h)
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

// dropsFromRequest reports whether a client's header is one that the gate sets itself or never passes, whatever the
// upstream is. name is in the canonical form of package textproto. A name with other characters than letters, digits
// and hyphens counts as one, because servers that turn names into variables take X_Forwarded_For and X.Forwarded.For
// for X-Forwarded-For.
func dropsFromRequest(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return true
		}
	}
	switch name {
	case "Authorization", "Cookie", "Cookie2", // credentials
		"X-Rewrite-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override", // another request than the one decided about
		"X-Request-Id",
		"Traceparent", "Tracestate", // see trace
		"Http2-Settings", "Expect": // for this hop
		return true
	}
	return isHopByHop(name) || claimsIdentity(name)
}

// isHopByHop reports whether a header is for one hop only, in requests and responses (RFC 9110, section 7.6.1). name is
// in canonical form.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// isWebsocketResponse reports whether the headers of a 101 say that the connection now speaks websocket.
func isWebsocketResponse(h http.Header) bool {
	return route.IsWebsocket(h) && hasToken(h["Connection"], "Upgrade")
}

// hasToken reports whether a header that is a list of tokens has one, in any case (RFC 9110, section 5.6.1).
func hasToken(header []string, token string) bool {
	for _, value := range header {
		for item := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// removeListed removes the headers that a Connection header names. It looks at each name once: both may be many, and
// the client need not have a key.
func removeListed(h http.Header, connection []string) {
	for _, value := range connection {
		for item := range strings.SplitSeq(value, ",") {
			if item != "close" && item != "keep-alive" { // the usual ones
				delete(h, http.CanonicalHeaderKey(strings.Trim(item, " \t")))
			}
		}
	}
}
