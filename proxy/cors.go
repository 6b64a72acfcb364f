package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rs/cors"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

// newCORS returns what answers browsers for these origins, or nil if the upstream does.
func newCORS(origins []string) *cors.Cors {
	if len(origins) == 0 {
		return nil
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, // the route table has the last word
		AllowedHeaders: []string{"*"},                                                                                                   // echoed: a browser wants Authorization by its name
		ExposedHeaders: []string{"X-Request-Id", "WWW-Authenticate", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Should-Retry", "Deprecation", "Sunset"},
		MaxAge:         600,
	})
}

// ValidateOrigins returns which of the origins are malformed, or nil. Each has a scheme, a host and perhaps a port, with
// "*." before the host for all its subdomains; or "*" stands alone, for all origins.
func ValidateOrigins(origins []string) error {
	if slices.Equal(origins, []string{"*"}) {
		return nil
	}
	var errs []error
	for _, o := range origins {
		errs = append(errs, validateOrigin(o))
	}
	return errors.Join(errs...)
}

func validateOrigin(s string) error {
	if s == "*" {
		return errors.New("* stands for all origins; list it alone")
	}
	if !origin.Is(strings.Replace(s, "://*.", "://", 1)) {
		return fmt.Errorf("%q: want an origin as browsers send it, such as https://www.example.com, https://*.example.com or http://localhost:5173, without the usual port; or * for all", s)
	}
	return nil
}

// answerPreflight answers a CORS preflight in place of the upstream.
func (p *Proxy) answerPreflight(x *exchange, r *http.Request) { p.cors.HandlerFunc(&x.response, r) }

// exposeHeaders is the CORS header that lists which headers of a response a page may read.
const exposeHeaders = "Access-Control-Expose-Headers"

// allowOrigin puts the CORS headers into the header of a response to r, if the gate sets them. Of the upstream's own, the
// list of headers that pages may read is kept, for pages that may read the response at all.
func (p *Proxy) allowOrigin(w http.ResponseWriter, r *http.Request) {
	if p.cors == nil || r.Method == http.MethodOptions { // a preflight has its own
		return
	}
	h := w.Header()
	upstreams := h[exposeHeaders]
	delete(h, exposeHeaders)
	p.cors.HandlerFunc(w, r)
	if own := h.Get(exposeHeaders); own != "" && len(upstreams) > 0 {
		h.Set(exposeHeaders, own+", "+strings.Join(upstreams, ", "))
	}
}
