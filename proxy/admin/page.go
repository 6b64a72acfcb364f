package admin

import (
	"embed"
	"net/http"
	"path"
)

// The status page. These files are the same for everybody: the page's script gets what it shows from `GET /status`, and
// puts that into the page as text.
//
//go:embed page
var pageFiles embed.FS

// pagePolicy allows the page its own script, style and icon, and requests to this listener, and nothing else. Its
// script cannot turn text into markup.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// mediaTypes are those of the page's files. What this machine has configured for their extensions does not matter.
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
