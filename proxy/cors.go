package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// newCORS returns what answers browsers for the origins, or nil if the runner does.
func newCORS(origins []string) *cors.Cors {
	if len(origins) == 0 {
		return nil
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: anyMethod,     // the route table has the last word
		AllowedHeaders: []string{"*"}, // echoed: a browser wants Authorization by its name
		ExposedHeaders: []string{"X-Request-Id", "WWW-Authenticate", "Retry-After", "Deprecation", "Sunset"},
		MaxAge:         600,
	})
}

// ValidateOrigins says which of the origins cannot be one whose pages may call, or nil: each has a scheme, a
// host and perhaps a port, with "*." before the host for all its subdomains; or there is "*" alone, for
// all pages there are.
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
	u, err := url.Parse(strings.Replace(s, "://*.", "://", 1))
	if err != nil || u.Scheme == "" || u.Hostname() == "" || s != u.Scheme+"://"+u.Host && s != u.Scheme+"://*."+u.Host ||
		strings.Contains(u.Host, "*") || s != strings.ToLower(s) {
		return fmt.Errorf("%q: want an origin as browsers send it, such as https://www.example.com, https://*.example.com or http://localhost:5173, or * for all", s)
	}
	return nil
}

// answerPreflight answers a CORS preflight on behalf of the runner.
func (p *Proxy) answerPreflight(rec *record, r *http.Request) { p.cors.HandlerFunc(rec, r) }

// allowOrigin puts the CORS headers into the head of an answer to r.
func (p *Proxy) allowOrigin(w http.ResponseWriter, r *http.Request) {
	if p.cors != nil && r.Method != http.MethodOptions { // a preflight has its own
		p.cors.HandlerFunc(w, r)
	}
}
