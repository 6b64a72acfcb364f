// Package header decides which headers pass the gate, and how far a client's headers are believed: its address, its
// trace, which headers of requests and responses are passed on, and which pages of other origins may call.
//
// It knows no keys, and does no I/O except for responding to a preflight. Package proxy adds the gate's own headers.
package header

import (
	"net/http"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// ForUpstream returns the headers of a client's request that are sent upstream. The values are shared with in.
func ForUpstream(in http.Header, preset *route.Preset) http.Header {
	h := make(http.Header, len(in)) // about as many are dropped as the gate adds
	for name, values := range in {
		if !dropsFromRequest(name) && !preset.DropsHeader(name) {
			h[name] = values
		}
	}
	removeListed(h, in["Connection"])
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		if v, ok := in[name]; ok {
			h[name] = v // Connection must not remove the headers that say how to read the body
		}
	}
	return h
}

// dropsFromRequest reports whether a client's header is one that the gate sets itself, or never passes on to any
// upstream. name is in the canonical form of package textproto. A name with characters other than letters, digits and
// hyphens is always dropped, because servers that turn names into variables take X_Forwarded_For and X.Forwarded.For for
// X-Forwarded-For.
func dropsFromRequest(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return true
		}
	}
	switch name {
	case "Authorization", "Cookie", "Cookie2", // credentials
		"X-Rewrite-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override", // would make it another request
		"X-Request-Id",
		"Traceparent", "Tracestate", // see Trace
		"Http2-Settings", "Expect": // hop-by-hop
		return true
	}
	return isHopByHop(name) || claimsIdentity(name)
}
