// Package header decides which headers pass the gate, and which of a client's are believed: its address, its trace, what of
// requests and responses goes through, and which pages of other origins may call.
//
// It knows no keys, and but for the response to a preflight it does no I/O. Package proxy adds what the gate itself says.
package header

import (
	"net/http"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// ForUpstream returns what of the header of a client's request goes upstream. The values are those of in.
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
			h[name] = v // Connection must not remove what says how to read the body
		}
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
