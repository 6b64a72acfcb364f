package console

import (
	"bytes"
	"cmp"
	"embed"
	"html/template"
	"net/http"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/flowlatch/flowlatch/proxy/admin/signin"
)

// The pages. They are forms, which work without JavaScript; console.js only makes them quicker to use.
//
//go:embed page
var pageFiles embed.FS

// pagePolicy is like that of the status page, but allows forms to be sent here, and scripts to send no requests.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// templates returns the pages. They are parsed when the first one is shown, since most gates never show one.
// html/template escapes whatever they show, depending on where it is.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"visible": visible, "base": filepath.Base, "stamp": stamp, "words": func(status string) string { return strings.ReplaceAll(status, "_", " ") },
		"first": func(n int, list []string) []string { return list[:min(n, len(list))] },
		"more":  func(n int, list []string) int { return max(0, len(list)-n) },
	}).ParseFS(pageFiles, "page/*.html"))
})

// view is what every page shows, and Content what the page is about.
type view struct {
	Title    string
	SignedIn bool
	File     string // path of the key file
	Stale    string // why the key file on disk is not what is applied
	Version  string // of the key file, which the page's forms send back
	Done     *done
	Problem  *Problem
	Content  any
}

// done says what the last form did. The next page shows it.
type done struct {
	Text   string
	Secret *newSecret
}

func (c *Console) registerPages(mux *http.ServeMux) {
	for _, name := range []string{"console.css", "console.js"} {
		mux.HandleFunc("GET /console/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", mediaTypes[path.Ext(name)])
			http.ServeFileFS(w, r, pageFiles, "page/"+name)
		})
	}
	for name, show := range shownPages {
		mux.HandleFunc("GET /console/"+cmp.Or(name, "{$}"), c.page(func(w http.ResponseWriter, r *http.Request, s *signin.Session) {
			c.show(w, r, s, show, http.StatusOK, nil)
		}))
	}
	mux.Handle("GET /console", http.RedirectHandler("console/", http.StatusSeeOther))
	mux.Handle("GET /console/sign-in", http.RedirectHandler("./", http.StatusSeeOther)) // the form is on every page
	mux.HandleFunc("POST /console/key", c.page(c.postKey))
	mux.HandleFunc("POST /console/new-key", c.page(c.postNewKey))
	mux.HandleFunc("POST /console/chatflow", c.page(c.postChatflow))
	mux.HandleFunc("POST /console/new-chatflow", c.page(c.postNewChatflow))
	mux.HandleFunc("POST /console/sign-in", c.postSignIn)
	mux.HandleFunc("POST /console/sign-out", c.postSignOut)
}

// mediaTypes are those of the files. What this machine has configured for their extensions does not matter.
var mediaTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

// shower returns what a page shows. p is why there is no such page.
type shower func(c *Console, f *file, r *http.Request) (s shown, p *Problem)

// shown is what a page shows, and with which template.
type shown struct {
	template, title string
	content         any
}

// shownPages are the pages by what follows /console/ in their address.
var shownPages = map[string]shower{
	"": (*Console).overview, "key": (*Console).keyPage, "new-key": (*Console).newKeyPage,
	"chatflow": (*Console).chatflowPage, "new-chatflow": (*Console).newChatflowPage,
}

// page calls next for whoever has signed in. Others get the form to sign in.
func (c *Console) page(next func(w http.ResponseWriter, r *http.Request, s *signin.Session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if c.door == nil {
			c.render(w, http.StatusOK, "read-only.html", view{Title: "Keys cannot be changed here", File: c.path})
			return
		}
		s := c.door.Session(r)
		if s == nil {
			c.askToSignIn(w, r, nil)
			return
		}
		next(w, r, s)
	}
}

// show shows a page with what the key file has now. p is why a form on it was refused, or nil.
func (c *Console) show(w http.ResponseWriter, r *http.Request, s *signin.Session, show shower, status int, p *Problem) {
	v := view{SignedIn: true, File: c.path, Problem: p}
	if err := c.opts.Store.Status().Err; err != nil {
		v.Stale = err.Error()
	}
	f, unread := c.read()
	if unread != nil {
		v.Title, v.Problem = "Key file invalid", unread
		c.render(w, unread.Status, "problem.html", v)
		return
	}
	page, missing := show(c, f, r)
	if missing != nil {
		page = shown{template: "problem.html", title: missing.Title}
		if p == nil {
			v.Problem, status = missing, missing.Status
		}
	}
	v.Title, v.Content, v.Version = page.title, page.content, f.version
	if note, ok := s.Take().(*done); ok {
		v.Done = note
	}
	c.render(w, status, page.template, v)
}

func (c *Console) render(w http.ResponseWriter, status int, name string, v view) {
	var b bytes.Buffer
	if err := templates().ExecuteTemplate(&b, name, v); err != nil {
		c.opts.Log.Error().Err(err).Msg("a page of the console cannot be made")
		http.Error(w, "this page cannot be made; the log says why", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "same-origin") // with no-referrer a form would not say where it came from
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that has left cannot be told
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format("2006-01-02 15:04")
}
