package header

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rs/cors"

	"github.com/flowlatch/flowlatch/keystore/origin"
)

// CORS answers browsers, which ask whether pages of other origins may call and read responses. A nil CORS leaves that to
// the upstream. All methods may be called concurrently.
type CORS struct{ cors *cors.Cors }

// NewCORS returns a CORS for these origins, which [ValidateOrigins] accepts; nil for none.
func NewCORS(origins []string) *CORS {
	if len(origins) == 0 {
		return nil
	}
	return &CORS{cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, // the route table has the last word
		AllowedHeaders: []string{"*"},                                                                                                   // echoed: a browser wants Authorization by its name
		ExposedHeaders: []string{"X-Request-Id", "WWW-Authenticate", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Should-Retry", "Deprecation", "Sunset"},
		MaxAge:         600,
	})}
}

// AnswerPreflight answers a preflight in place of the upstream.
func (c *CORS) AnswerPreflight(w http.ResponseWriter, r *http.Request) { c.cors.HandlerFunc(w, r) }

// exposeHeaders is the header that lists which headers of a response a page may read.
const exposeHeaders = "Access-Control-Expose-Headers"

// Allow puts the CORS headers into the header of a response to r. Of the upstream's own, the list of headers that pages may
// read is kept, for pages that may read the response at all.
func (c *CORS) Allow(w http.ResponseWriter, r *http.Request) {
	if c == nil || r.Method == http.MethodOptions { // a preflight has its own
		return
	}
	h := w.Header()
	upstreams := h[exposeHeaders]
	delete(h, exposeHeaders)
	c.cors.HandlerFunc(w, r)
	if own := h.Get(exposeHeaders); own != "" && len(upstreams) > 0 {
		h.Set(exposeHeaders, own+", "+strings.Join(upstreams, ", "))
	}
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
