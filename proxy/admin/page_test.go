package admin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPageFiles requests the page, its files, and files with similar names that do not exist.
func TestPageFiles(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	for _, tt := range []struct {
		method, path string
		status       int
		mediaType    string
		body         string // part of it
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", `<script type="module" src="status/page.js">`},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"POST", "/", 405, "text/plain; charset=utf-8", ""},
		{"PUT", "/status/page.js", 405, "text/plain; charset=utf-8", ""},
		{"OPTIONS", "/", 405, "text/plain; charset=utf-8", ""},
		{"GET", "/status/page.js", 200, "text/javascript; charset=utf-8", "fetch('status?'"},
		{"GET", "/status/text.js", 200, "text/javascript; charset=utf-8", "textContent"},
		{"GET", "/status/page.css", 200, "text/css; charset=utf-8", "prefers-color-scheme"},
		{"GET", "/status/icon.svg", 200, "image/svg+xml", "<svg"},
		{"GET", "/status/index.html", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/page.js", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/index.html", 404, "text/plain; charset=utf-8", ""},
		{"POST", "/status", 405, "text/plain; charset=utf-8", ""},
		{"GET", "/status", 200, "application/json", `"version": "test"`},
		{"GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "flowlatch_streams_active"},
	} {
		w := g.ask(tt.method, tt.path, "localhost:9901")
		if w.Code != tt.status || w.Header().Get("Content-Type") != tt.mediaType || !strings.Contains(w.Body.String(), tt.body) {
			t.Errorf("%s %s = %d %q, want %d %q with %q", tt.method, tt.path, w.Code, w.Header().Get("Content-Type"), tt.status, tt.mediaType, tt.body)
		}
		if w.Code == 405 && !strings.Contains(w.Header().Get("Allow"), "GET") {
			t.Errorf("Allow of %s %s = %q, want GET in it", tt.method, tt.path, w.Header().Get("Allow"))
		}
		want := map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
				"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "",
		}
		got := map[string]string{}
		for name := range want {
			got[name] = w.Header().Get(name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("headers of %s %s (-want +got):\n%s", tt.method, tt.path, diff)
		}
	}
}

// TestPageStandsAlone searches the page's files for what its policy forbids, or what comes from elsewhere.
func TestPageStandsAlone(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	script := []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "http:", "https:", "DOMParser", "srcdoc", ".style", ".href", "createContextualFragment"}
	files, err := os.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		path, never := "/status/"+file.Name(), script
		switch filepath.Ext(path) {
		case ".html":
			path, never = "/", []string{"http:", "https:", "//", "<style", "style=", " onclick", " onload", " onerror", "<script>"}
		case ".css":
			never = []string{"http:", "https:", "url(", "@import"}
		case ".svg":
			continue
		}
		body := g.ask("GET", path, "localhost").Body.String()
		for _, s := range never {
			if strings.Contains(body, s) {
				t.Errorf("GET %s has %q in it, want none", path, s)
			}
		}
		if body == "" {
			t.Errorf("GET %s is empty", path)
		}
	}
}
