package header

import (
	"net/http"
	"slices"
	"strings"
)

// CleanResponse removes from the header of an upstream's response what is not for clients. ownCORS says that the gate
// itself sets the headers about origins, see [CORS]; the list of headers that pages may read stays, and CORS adds to it.
func CleanResponse(h http.Header, ownCORS bool) {
	exposed := h[exposeHeaders]
	CleanInterim(h, ownCORS)
	if exposed != nil {
		h[exposeHeaders] = exposed
	}
}

// CleanInterim does so with an interim response (1xx), to which CORS adds nothing.
func CleanInterim(h http.Header, ownCORS bool) {
	removeListed(h, h["Connection"])
	clean(h, ownCORS)
}

// CleanSwitch does so with a response that switches protocols, from which ReverseProxy has not removed the headers for one
// hop.
func CleanSwitch(h http.Header, ownCORS bool) {
	upgrade := h["Upgrade"]
	CleanInterim(h, ownCORS)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, upgrade
	for _, name := range []string{"X-Request-Id", "X-Content-Type-Options", "Deprecation", "Sunset"} {
		delete(h, name) // ReverseProxy adds them to the gate's own
	}
}

// CleanTrailers removes trailers that are not for clients: those that would not be as headers, and those that say how to
// read the message or who may, for which they come too late (RFC 9110, section 6.5.1).
func CleanTrailers(trailers http.Header, ownCORS bool) {
	for _, name := range []string{"Authorization", "Www-Authenticate", "Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range"} {
		delete(trailers, name)
	}
	clean(trailers, ownCORS)
}

// clean removes what an upstream must not tell clients in a header or trailer: what is for one hop; Set-Cookie, since clients
// have keys and need no session of the upstream; Alt-Svc, which would lead around the gate; what looks like the gate's own
// words; and what is about origins, if the gate sets that.
func clean(h http.Header, ownCORS bool) {
	for name := range h {
		if isHopByHop(name) || name == "Set-Cookie" || name == "Alt-Svc" || strings.HasPrefix(name, ownPrefix) || ownCORS && strings.HasPrefix(name, "Access-Control-") {
			delete(h, name)
		}
	}
}

// KeepPrivate marks a response to a request with a cookie as one visitor's. Caches that do not store responses to
// requests with Authorization store those to requests with cookies. A page of another origin must not read it in any case.
func KeepPrivate(h http.Header) {
	delete(h, "Access-Control-Allow-Credentials")
	if !slices.ContainsFunc(h["Cache-Control"], func(v string) bool { return strings.Contains(v, "no-store") }) {
		h["Cache-Control"] = []string{"private"}
	}
}
