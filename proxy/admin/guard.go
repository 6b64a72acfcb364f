package admin

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/admin/signin"
)

// guard keeps other people's web pages away from the admin listener, which asks for no key and often runs on a machine
// where somebody also uses a browser. Programs (Prometheus, the kubelet, curl) are not affected: they may use any name
// for the listener.
func guard(next http.Handler) http.Handler {
	// A page of another site must not be able to send commands here, such as a reload.
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		switch {
		case elsewhere(r.Header):
			http.Error(w, "pages of other sites may not read this", http.StatusForbidden)
		case fromBrowser(r.Header) && !privateName(signin.HostOf(r.Host)):
			http.Error(w, "a browser reaches this listener by an IP address, localhost or a name without a public domain, so that no web page can have its own name lead here; "+
				"use for instance `kubectl port-forward` or `ssh -L`, and http://127.0.0.1:PORT/", http.StatusMisdirectedRequest)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// fromBrowser reports whether a browser sent the request. A page may change some of these headers of its requests, but
// it cannot leave out the first.
func fromBrowser(h http.Header) bool {
	return len(h["Accept-Language"]) > 0 ||
		h.Get("Sec-Fetch-Site") != "" || h.Get("Origin") != "" || strings.HasPrefix(h.Get("User-Agent"), "Mozilla/")
}

// elsewhere reports whether a page of another site, or of another port of this machine, sent the request to read the
// response. Such a page may still link to this listener.
func elsewhere(h http.Header) bool {
	site := h.Get("Sec-Fetch-Site")
	return (site == "cross-site" || site == "same-site") && h.Get("Sec-Fetch-Mode") != "navigate"
}

// privateName reports whether host is a name of the admin listener that nobody outside can have lead to it. By a
// name of their own, which they have lead to 127.0.0.1, a web page would be of the same origin as what it
// reads (DNS rebinding).
func privateName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if !strings.Contains(host, ".") {
		return host != ""
	}
	private := []string{".localhost", ".local", ".internal", ".home.arpa", ".svc"} // not in the public DNS
	return slices.ContainsFunc(private, func(suffix string) bool { return strings.HasSuffix(host, suffix) })
}
