package header

import (
	"net/http"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// DropsFromRequest reports whether a client's header is one that the gate sets itself or never passes, whatever the
// upstream is. name is in the canonical form of package textproto. A name with other characters than letters, digits
// and hyphens counts as one, because servers that turn names into variables take X_Forwarded_For and X.Forwarded.For
// for X-Forwarded-For.
func DropsFromRequest(name string) bool {
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
	return IsHopByHop(name) || claimsIdentity(name)
}

// IsHopByHop reports whether a header is for one hop only, in requests and responses (RFC 9110, section 7.6.1). name is
// in canonical form.
func IsHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// IsWebsocketResponse reports whether the headers of a 101 say that the connection now speaks websocket.
func IsWebsocketResponse(h http.Header) bool {
	return route.IsWebsocket(h) && HasToken(h["Connection"], "Upgrade")
}

// HasToken reports whether a header that is a list of tokens has one, in any case (RFC 9110, section 5.6.1).
func HasToken(header []string, token string) bool {
	for _, value := range header {
		for item := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// RemoveListed removes the headers that a Connection header names. It looks at each name once: both may be many, and
// the client need not have a key.
func RemoveListed(h http.Header, connection []string) {
	for _, value := range connection {
		for item := range strings.SplitSeq(value, ",") {
			if item != "close" && item != "keep-alive" { // the usual ones
				delete(h, http.CanonicalHeaderKey(strings.Trim(item, " \t")))
			}
		}
	}
}
