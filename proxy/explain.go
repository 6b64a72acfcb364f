package proxy

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/body"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// Explanation says what would become of a request.
type Explanation struct {
	Allowed bool
	// Lines are pairs of a label and its text.
	Lines [][2]string
}

func (e *Explanation) add(word, format string, args ...any) {
	e.Lines = append(e.Lines, [2]string{word, fmt.Sprintf(format, args...)})
}

// Explain says what would become of a request with this method, target and body, sent by the holder of key, or without a
// key if it is nil. It decides as ServeHTTP does.
func (p *Proxy) Explain(method, target string, data []byte, key *keystore.Key) *Explanation {
	path, _, _ := strings.Cut(target, "?")
	r := &http.Request{
		Method: method, RequestURI: target, URL: &url.URL{Path: path}, Header: http.Header{}, ContentLength: int64(len(data)),
	}
	if len(data) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	a := p.authorizeAs(r, data, assumed{key: key})
	defer a.buffered.Close()
	e := &Explanation{Allowed: a.Allowed}
	if a.Route != nil {
		e.add("route", "%s (group %s): %s %s", a.Route.Label(), a.Route.Group, strings.Join(a.Route.AllMethods(), ", "), a.Route.Path)
	}
	if id := cmp.Or(a.question.Chatflow, a.Chatflow); id != "" {
		e.add("chatflow", "%s", describeChatflow(p.opts.Store.Snapshot(), id))
	}
	e.add("key", "%s", describeKey(p.opts.Store.Snapshot(), key, a.Decision))
	if !a.Allowed {
		e.add("decision", "refuse: %d %s", a.Refusal.Status(), a.Refusal.Code)
		e.add("because", "%s", a.Refusal.Detail)
		if a.Refusal.Reason != "" {
			e.add("", "%s", a.Refusal.Reason)
		}
		if hint := p.hint(*a, r); hint != "" {
			e.add("to do", "%s", hint)
		}
		return e
	}
	upstream := p.opts.Upstream
	e.add("decision", "allow: %s", why(*a))
	e.addLimits(*a)
	e.add("upstream", "%s %s", a.Method, &url.URL{Scheme: upstream.Scheme, Host: upstream.Host, Path: upstream.Path + a.Path, RawQuery: a.Query})
	e.add("credential", "%s", p.describeCredential(*a, key))
	e.addDisconnect(*a)
	if key != nil && key.Browser != nil && a.Opens {
		e.add("browser token", "%s", p.explainBrowser(r, data, a, key))
	}
	return e
}

// authorizeAs authorizes a request with a body, as if sent by the holder of a key. The caller closes the body.
func (p *Proxy) authorizeAs(r *http.Request, data []byte, as assumed) *authorization {
	r.Body = io.NopCloser(bytes.NewReader(data))
	a := &authorization{}
	p.authorize(a, r, time.Now(), netip.Addr{}, as)
	b := &body.Reader{}
	b.Begin(http.NewResponseController(nil), r, time.Now(), p.opts.MaxBody)
	p.authorizeBody(a, b)
	return a
}

// explainBrowser says what would become of the same request with a browser token of the key for this chatflow.
func (p *Proxy) explainBrowser(r *http.Request, data []byte, with *authorization, key *keystore.Key) string {
	page := key.Browser.Origins[0]
	t := &token.Token{Key: key.ID, Chatflows: []string{with.question.Chatflow}, Origins: key.Browser.Origins}
	a := p.authorizeAs(r, data, assumed{key: key, page: token.Presented{Token: t, Origin: page}})
	defer a.buffered.Close()
	if !a.Allowed {
		return fmt.Sprintf("would be refused: %d %s: %s", a.Refusal.Status(), a.Refusal.Code, cmp.Or(a.Refusal.Reason, a.Refusal.Detail))
	}
	return "one of this key for the chatflow would be let through, too; tokens are for " + key.Browser.String()
}

// addLimits adds the limits that the request counts against.
func (e *Explanation) addLimits(a authorization) {
	word := "limits"
	add := func(of string, l *keystore.Limits) {
		if !l.Empty() {
			e.add(word, "%s: %s", of, l)
			word = ""
		}
	}
	if a.Opens && a.Key != nil {
		add("of the key", a.Key.Limits)
		if len(a.Key.From) > 0 {
			e.add("from", "%s", networksOf(a.Key))
		}
	}
	if c := a.Entry; c != nil {
		if a.Opens || c.Public {
			add("of the chatflow, for all together", c.Limits)
		}
		add("of the chatflow, for each client address", c.ClientLimits)
	}
}

// addDisconnect adds what becomes of the request when its client leaves, if the upstream is told to abort it.
func (e *Explanation) addDisconnect(a authorization) {
	if !a.mayAbort() {
		return
	}
	how := a.Route.Abort
	if path := a.abortPath(); path != "" {
		e.add("if the client leaves", "%s %s", how.Method, path)
		return
	}
	var members []string
	for _, names := range how.Conversation {
		members = append(members, strings.Join(names, "."))
	}
	e.add("if the client leaves", "it goes on: the body does not name its conversation (%s)", strings.Join(members, " or "))
}

// networksOf returns the networks from which a key may be used.
func networksOf(k *keystore.Key) string {
	var networks []string
	for _, n := range k.From {
		networks = append(networks, n.String())
	}
	return strings.Join(networks, ", ")
}

func describeChatflow(s *keystore.Snapshot, id string) string {
	c, listed := s.Chatflow(id)
	switch {
	case c == nil:
		return id + " (not listed, so closed)"
	case !listed:
		return id + ` (not listed; the keys of "*" open it)`
	case c.Name != "":
		id += " (" + c.Name + ")"
	}
	return id + inFile(s, c.Place())
}

func describeKey(s *keystore.Snapshot, k *keystore.Key, d Decision) string {
	switch {
	case k == nil:
		return "none"
	case d.Key == nil: // refused before a key mattered
		return k.ID + inFile(s, k.Place())
	}
	return k.ID + " (" + d.Validity.String() + ")" + inFile(s, k.Place())
}

// inFile says in which file something is, if there are several key files.
func inFile(s *keystore.Snapshot, place string) string {
	if !s.IsDirectory() {
		return ""
	}
	return ", in " + filepath.Base(place)
}

func why(a authorization) string {
	switch {
	case a.Preflight:
		return "a CORS preflight; the upstream answers it"
	case a.Route.Access == route.Public:
		return "the route is open to all"
	case a.Entry != nil && a.Entry.Public:
		return "the chatflow is public"
	case a.Route.Access == route.ListedOnly && !a.Opens:
		return "official clients call it before they use their key (--discovery open), and the chatflow is listed"
	case a.Created != "":
		return "any valid key opens this route, unless the running gate knows which chatflow this ID belongs to"
	case a.Route.Access == route.AnyKey:
		return "any valid key opens this route"
	}
	return "the key opens this chatflow"
}

func (p *Proxy) describeCredential(a authorization, key *keystore.Key) string {
	if key != nil {
		a.Bearer.Token = "the client's own key" // whose secret is not known here
	}
	v, err := p.upstreamCredential(a)
	switch {
	case err != nil:
		return "none is available: " + err.Reason
	case v == "":
		return "none is sent"
	case key != nil && strings.HasSuffix(v, a.Bearer.Token):
		return a.Bearer.Token
	}
	return "the one in the file that upstream_authorization names"
}

// idForm says what the IDs of a route look like.
func (p *Proxy) idForm(r *route.Route) string {
	if r.ID != nil {
		return fmt.Sprintf("the settings file says of this route that a chatflow ID must match %s", r.ID)
	}
	return fmt.Sprintf("the chatflow IDs of %s are %s", p.opts.Preset.Runner, p.opts.Preset.IDs)
}

// unknownPath guesses what a path is that no route has.
func (p *Proxy) unknownPath(path string) string {
	if own := ownPaths[path]; own != nil {
		return fmt.Sprintf("the gate itself responds to %s %s, and sends it nowhere; what it needs is in docs/routes.md", strings.Join(own.route.AllMethods(), ", "), path)
	}
	without := &http.Request{URL: &url.URL{Path: strings.TrimSuffix(path, "/")}}
	if strings.HasSuffix(path, "/") && p.known.Methods(without) != nil {
		return fmt.Sprintf("remove the slash at the end: %s is a route, and with the slash it is another path", without.URL.Path)
	}
	for _, r := range p.opts.Routes {
		if strings.HasPrefix(r.Path, strings.TrimSuffix(path, "/")+"/{chatflow}") {
			return fmt.Sprintf("the path ends where the chatflow ID belongs: the route is %s %s", strings.Join(r.AllMethods(), ", "), r.Path)
		}
	}
	first := func(path string) string { name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); return name }
	if !slices.ContainsFunc(p.opts.Routes, func(r *route.Route) bool { return first(r.Path) == first(path) }) {
		runner, example := p.opts.Preset.Runner, p.opts.Routes[0]
		return fmt.Sprintf("the preset %s has no such route; if it is a page of %s's user interface, open it at %s's own address: the gate is for clients, which send %s %s",
			p.opts.Preset.Name, runner, runner, example.AllMethods()[0], example.Path)
	}
	return fmt.Sprintf("the preset %s has no such route; if clients need it, list it under `routes:` in the settings file; if the upstream is not %s, say so with --preset", p.opts.Preset.Name, p.opts.Preset.Runner)
}

// hint returns what the operator could do about a refusal, or "".
func (p *Proxy) hint(a authorization, in *http.Request) string {
	switch d := a.Decision; d.Refusal.Code {
	case problem.NotExposed:
		path, below := route.CutPrefix(in.URL.Path, p.opts.PathPrefix)
		if !below {
			return fmt.Sprintf("clients put %s before every path, by --path-prefix, so the URL must have it, too", p.opts.PathPrefix)
		}
		in = &http.Request{Method: in.Method, URL: &url.URL{Path: path}}
		if r, _ := p.known.Find(in); r != nil {
			return fmt.Sprintf("the route %q is in group %s: expose it with --expose, if clients are to use it", r.Label(), r.Group)
		}
		if methods := p.known.Methods(in); methods != nil {
			return "there is such a path in a group that is not exposed, for " + strings.Join(methods, ", ")
		}
		return p.unknownPath(path)
	case problem.MissingKey:
		return "ask again with --key-id to see what a key may do"
	case problem.MethodNotAllowed:
		switch upper := strings.ToUpper(in.Method); {
		case in.Method == upper:
			return "it accepts " + d.Refusal.Allow
		case slices.Contains(strings.Split(d.Refusal.Allow, ", "), upper):
			return "write the method in capitals: " + upper
		}
		return "write the method in capitals; this path accepts " + d.Refusal.Allow
	case problem.KeyNotForChatflow:
		if d.Entry == nil || d.Entry.ID == keystore.EveryChatflow {
			return "list the chatflow in the key file, and the key under its `keys:`"
		}
		return "list the key under the chatflow's `keys:` in the key file"
	case problem.BadChatflowID:
		return p.idForm(a.Route)
	case problem.NotCanonical:
		if !strings.HasPrefix(in.RequestURI, "/") {
			return "give a URL that begins with http:// or https://, or a path that begins with /"
		}
		return "write the path in its one canonical form; other forms are never forwarded"
	}
	return ""
}
