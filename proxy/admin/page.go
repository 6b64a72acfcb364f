package admin

import (
	"embed"
	"net/http"
)

// The status page. It is what it is in these files for everybody: what it shows, its script asks of
// `GET /status` and puts into it as text.
//
//go:embed page/index.html page/page.css page/text.js page/page.js page/icon.svg
var pageFiles embed.FS

// pagePolicy lets the page have its own script, style and icon and ask this listener, and nothing else; nor may
// its script make markup of text.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// servePage adds the page to the admin listener.
func servePage(mux *http.ServeMux) {
	for pattern, file := range map[string]struct{ name, mediaType string }{
		"GET /{$}":             {"index.html", "text/html; charset=utf-8"},
		"GET /status/page.css": {"page.css", "text/css; charset=utf-8"},
		"GET /status/text.js":  {"text.js", "text/javascript; charset=utf-8"},
		"GET /status/page.js":  {"page.js", "text/javascript; charset=utf-8"},
		"GET /status/icon.svg": {"icon.svg", "image/svg+xml"},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", file.mediaType) // whatever this machine calls it
			http.ServeFileFS(w, r, pageFiles, "page/"+file.name)
		})
	}
}
