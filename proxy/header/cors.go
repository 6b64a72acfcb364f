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

// CORS sets the headers that tell browsers whether pages of other origins may call the gate and read responses. A nil
// CORS leaves them to the upstream. All methods may be called concurrently.
type CORS struct{ cors *cors.Cors }

// NewCORS returns a CORS for these origins, which must be valid by [ValidateOrigins]. It returns nil if there are none.
func NewCORS(origins []string) *CORS {
	if len(origins) == 0 {
		return nil
	}
	return &CORS{cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, // the route table decides
		AllowedHeaders: []string{"*"},                                                                                                   // echoed: browsers want Authorization by name
		ExposedHeaders: []string{"X-Request-Id", "WWW-Authenticate", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Should-Retry", "Deprecation", "Sunset"},
		MaxAge:         600,
	})}
}

// AnswerPreflight responds to a preflight in place of the upstream.
func (c *CORS) AnswerPreflight(w http.ResponseWriter, r *http.Request) { c.cors.HandlerFunc(w, r) }

// exposeHeaders is the header that lists which headers of a response a page may read.
const exposeHeaders = "Access-Control-Expose-Headers"

// Allow adds the CORS headers to the header of a response to r. It keeps one of the upstream's, the list of headers that
// pages may read, if the page may read the response at all.
func (c *CORS) Allow(w http.ResponseWriter, r *http.Request) {
	if c == nil || r.Method == http.MethodOptions { // AnswerPreflight does it for a preflight
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

// ValidateOrigins returns which of the origins are malformed, or nil. An origin has a scheme, a host and optionally a
// port; "*." before the host stands for all its subdomains. A single "*" stands for all origins.
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
