// Package console changes keys through the admin listener: with pages for people, which work without JavaScript, and
// with an API for programs. Both make the same edits of the key file. Package signin decides who may do that.
package console

import (
	"net/http"
	"net/netip"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/admin/signin"
)

// Options say who may change keys. With the zero value, nobody may.
type Options struct {
	// Door lets in whoever may change keys. Nil means nobody: pages and API then say how to change that.
	Door *signin.Door
	// ClientPort is the port where clients connect, for the snippets that are shown with a new key. Empty: it is not known.
	ClientPort string
	// UpstreamAPI is the path of a file with an API key of Flowise. The console then offers Flowise's chatflows by
	// name. If it is empty, the console offers only those of the key file.
	UpstreamAPI string
}

// Console serves the pages below /console/ and the API below /api/. All methods may be called concurrently.
type Console struct {
	door  *signin.Door
	proxy *proxy.Proxy
	opts  proxy.Options // of the proxy
	path  string        // of the key file
	port  string        // where clients connect

	upstream upstream
}

// New returns a console for the keys of a gate.
func New(p *proxy.Proxy, o Options) *Console {
	c := &Console{door: o.Door, proxy: p, opts: p.Options(), port: o.ClientPort}
	c.upstream.path, c.upstream.url, c.upstream.certificates = o.UpstreamAPI, c.opts.Upstream.String(), c.opts.Certificates
	c.path = c.opts.Store.Status().Path
	return c
}

// Register adds pages and API to the admin listener.
func (c *Console) Register(mux *http.ServeMux) {
	c.registerPages(mux)
	for _, op := range operations {
		mux.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) { c.serveAPI(w, r, op) })
	}
}

// operator is who asks for a change.
type operator struct {
	session string // its name; empty for a program with the token
	client  netip.Addr
}

// describe adds to a log line who changes what, and from where.
func (o operator) describe(e *zerolog.Event, ch change) *zerolog.Event {
	e.Str("action", ch.action).Str("client", o.client.String())
	if o.session == "" {
		e.Str("by", "admin token")
	} else {
		e.Str("by", "session "+o.session)
	}
	if ch.key != "" {
		e.Str("key", ch.key)
	}
	if len(ch.chatflows) > 0 {
		e.Strs("chatflows", ch.chatflows[:min(len(ch.chatflows), maxLogged)])
	}
	return e
}

// maxLogged is how many chatflows of a change are logged.
const maxLogged = 20
