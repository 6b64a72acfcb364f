package header

import (
	"net/http"
	"slices"
	"strings"
)

// isHopByHop reports whether a header is hop-by-hop, in requests and responses (RFC 9110, section 7.6.1). name is in
// canonical form.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// IsUpgrade reports whether a Connection header says that the connection switches protocols (RFC 9110, section 7.8).
func IsUpgrade(h http.Header) bool {
	items := strings.Split(strings.Join(h["Connection"], ","), ",")
	return slices.ContainsFunc(items, func(item string) bool { return strings.EqualFold(strings.Trim(item, " \t"), "Upgrade") })
}

// removeListed removes the headers that a Connection header names. It takes time proportional to the number of names, not
// to that number times the number of headers: both may be large, and the client need not have a key.
func removeListed(h http.Header, connection []string) {
	for _, value := range connection {
		for item := range strings.SplitSeq(value, ",") {
			if item != "close" && item != "keep-alive" { // the usual ones name no header
				delete(h, http.CanonicalHeaderKey(strings.Trim(item, " \t")))
			}
		}
	}
}
