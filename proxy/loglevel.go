package proxy

import (
	"net/http"

	"github.com/rs/zerolog"
)

// level is how much a request's line matters: whoever is called at night looks at errors, then at warnings.
func (r *record) level() zerolog.Level {
	switch {
	case r.err != nil && (r.status >= 500 || r.err.Code == codePanic):
		return zerolog.ErrorLevel
	case r.err != nil && r.err.Code != codeClientClosed:
		return zerolog.WarnLevel
	case r.err == nil && r.status >= http.StatusInternalServerError:
		return zerolog.WarnLevel // the runner's own answer: the gate did what it should
	}
	return zerolog.InfoLevel
}

// unremarkable reports whether a request was let in and answered, as the caller and the runner both wanted. Such
// requests have a line only if Options.QuietAllowed does not say otherwise; the metrics count them all.
func (r *record) unremarkable() bool {
	return r.allowed && r.err == nil && r.status < http.StatusInternalServerError
}
