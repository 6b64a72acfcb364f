package header

import (
	"net/http"
	"slices"
	"strings"
)

// CleanResponse removes from the header of an upstream's response what clients must not get. ownCORS says that the gate
// itself sets the CORS headers. The list of headers that pages may read stays even then: [CORS] adds to it.
func CleanResponse(h http.Header, ownCORS bool) {
	exposed := h[exposeHeaders]
	CleanInterim(h, ownCORS)
	if exposed != nil {
		h[exposeHeaders] = exposed
	}
}

// CleanInterim does the same for an interim response (1xx), to which CORS adds nothing.
func CleanInterim(h http.Header, ownCORS bool) {
	removeListed(h, h["Connection"])
	clean(h, ownCORS)
}

// CleanSwitch does the same for a response that switches protocols, from which ReverseProxy has not removed the
// hop-by-hop headers.
func CleanSwitch(h http.Header, ownCORS bool) {
	upgrade := h["Upgrade"]
	CleanInterim(h, ownCORS)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, upgrade
	for _, name := range []string{"X-Request-Id", "X-Content-Type-Options", "Deprecation", "Sunset"} {
		delete(h, name) // ReverseProxy adds them to the gate's own
	}
}

// CleanTrailers removes trailers that clients must not get: those that would be removed as headers, and those that say
// how to read the message or who may read it, which come too late in a trailer (RFC 9110, section 6.5.1).
func CleanTrailers(trailers http.Header, ownCORS bool) {
	for _, name := range []string{"Authorization", "Www-Authenticate", "Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range"} {
		delete(trailers, name)
	}
	clean(trailers, ownCORS)
}

// clean removes what an upstream must not tell clients in headers or trailers: hop-by-hop fields; Set-Cookie, since
// clients have keys and need no session at the upstream; Alt-Svc, which would lead around the gate; fields that look like
// the gate's own; and the CORS headers, if the gate sets them itself.
func clean(h http.Header, ownCORS bool) {
	for name := range h {
		if isHopByHop(name) || name == "Set-Cookie" || name == "Alt-Svc" || strings.HasPrefix(name, ownPrefix) || ownCORS && strings.HasPrefix(name, "Access-Control-") {
			delete(h, name)
		}
	}
}

// KeepPrivate marks a response to a request with a cookie as meant for one visitor. Caches that do not store responses to
// requests with Authorization do store those to requests with cookies. In no case may a page of another origin read it.
func KeepPrivate(h http.Header) {
	delete(h, "Access-Control-Allow-Credentials")
	if !slices.ContainsFunc(h["Cache-Control"], func(v string) bool { return strings.Contains(v, "no-store") }) {
		h["Cache-Control"] = []string{"private"}
	}
}
