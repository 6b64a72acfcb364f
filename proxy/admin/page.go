package admin

import (
	"embed"
	"net/http"
	"path"
)

// The status page. It is what it is in these files for everybody: what it shows, its script asks of
// `GET /status` and puts into it as text.
//
//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page have its own script, style and icon and ask this listener, and nothing else; nor may
// its script make markup of text.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// mediaTypes are those of the page's files, whatever this machine calls them.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// servePage adds the page to the admin listener.
func servePage(mux *http.ServeMux) {
	files, _ := pageFiles.ReadDir("page") // embedded: cannot fail
	for _, file := range files {
		pattern := "GET /status/" + file.Name()
		if file.Name() == "index.html" {
			pattern = "GET /{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", mediaTypes[path.Ext(file.Name())])
			http.ServeFileFS(w, r, pageFiles, "page/"+file.Name())
		})
	}
}
