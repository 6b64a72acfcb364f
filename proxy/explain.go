package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/flowlatch/flowlatch/keystore"
)

// Explanation says what would become of a request.
type Explanation struct {
	Allowed bool
	lines   [][2]string
}

// Lines are the explanation as pairs of a word and what it is.
func (e *Explanation) Lines() [][2]string { return e.lines }

func (e *Explanation) add(word, format string, args ...any) {
	e.lines = append(e.lines, [2]string{word, fmt.Sprintf(format, args...)})
}

// Explain says what would become of a request with this method, request target and body, sent by
// somebody with the key, or without one if it is nil. It decides as ServeHTTP does.
func (p *Proxy) Explain(method, target string, data []byte, key *keystore.Key) *Explanation {
	r := &http.Request{
		Method: method, RequestURI: target, URL: &url.URL{}, Header: http.Header{},
		Body: http.NoBody, ContentLength: int64(len(data)),
	}
	if len(data) > 0 {
		r.Header.Set("Content-Type", "application/json")
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	snapshot := p.store.Snapshot()
	c, d := p.decide(r, &body{}, key)
	defer c.body.drop()
	e := &Explanation{Allowed: d.Allowed}
	if c.route != nil {
		e.add("route", "%s (group %s): %s %s", c.route.label(), c.route.Group, strings.Join(c.route.methods(), ", "), c.route.Path)
	}
	if c.chatflow != "" {
		e.add("chatflow", "%s", describeChatflow(snapshot, c.chatflow))
	}
	e.add("key", "%s", describeKey(key, d))
	if !d.Allowed {
		a := answers[d.Refusal.Code]
		e.add("decision", "refuse: %d %s", a.status, d.Refusal.Code)
		e.add("because", "%s", d.Refusal.Detail)
		if d.Refusal.Reason != "" {
			e.add("", "%s", d.Refusal.Reason)
		}
		if hint := p.hint(d, method, target); hint != "" {
			e.add("to do", "%s", hint)
		}
		return e
	}
	e.add("decision", "allow: %s", p.why(c, d))
	e.add("upstream", "%s %s", c.method, &url.URL{Scheme: p.upstream.Scheme, Host: p.upstream.Host, Path: p.upstream.Path + c.path, RawQuery: c.query})
	e.add("credential", "%s", p.describeAuthorization(c, d, key))
	return e
}

func describeChatflow(s *keystore.Snapshot, id string) string {
	c, listed := s.Chatflow(id)
	switch {
	case c == nil:
		return id + " (not listed, so closed)"
	case !listed:
		return id + ` (not listed; the keys of "*" open it)`
	case c.Name != "":
		return id + " (" + c.Name + ")"
	}
	return id
}

func describeKey(k *keystore.Key, d Decision) string {
	switch {
	case k == nil:
		return "none"
	case d.Key == nil: // refused before anybody asked for a key
		return k.ID
	}
	return k.ID + " (" + d.Validity.String() + ")"
}

func (p *Proxy) why(c *call, d Decision) string {
	switch {
	case c.preflight:
		return "a CORS preflight; the runner answers it"
	case c.route.Access == Public:
		return "the route is open to all"
	case d.Chatflow != nil && d.Chatflow.Public:
		return "the chatflow is public"
	case c.route.Access == ListedOnly && !d.Opens:
		return "asked by official clients before they use their key (--discovery open), and the chatflow is listed"
	case c.route.Access == AnyKey:
		return "any valid key opens this route"
	}
	return "the key opens this chatflow"
}

func (p *Proxy) describeAuthorization(c *call, d Decision, key *keystore.Key) string {
	if key != nil {
		c.bearer.token = "the caller's own key"
	}
	v, err := p.authorization(c, d)
	switch {
	case err != nil:
		return "none can be had: " + err.Reason
	case v == "":
		return "none is sent"
	case key != nil && strings.HasSuffix(v, c.bearer.token):
		return c.bearer.token
	}
	return "the one in the file that upstream_authorization names"
}

// hint says what the operator could do about a refusal.
func (p *Proxy) hint(d Decision, method, target string) string {
	switch d.Refusal.Code {
	case CodeNotExposed:
		path, _, _ := strings.Cut(target, "?")
		s, methods := p.known.find(method, path)
		switch {
		case s != nil:
			return fmt.Sprintf("the route %q is in group %s: open it with --expose, if callers are to use it", s.route.label(), s.route.Group)
		case methods != nil:
			slices.Sort(methods)
			return "there is such a path in a group that is not exposed, for " + strings.Join(slices.Compact(methods), ", ")
		}
		return fmt.Sprintf("the preset %s has no such route; if callers need it, list it under `routes:` in the settings file, or choose another runner by --preset", p.preset.Name)
	case CodeMissingKey:
		return "ask again with --key-id to see what a key may do"
	case CodeMethod:
		return "it takes " + d.Refusal.Allow
	case CodeKeyNotForFlow:
		if d.Chatflow == nil || d.Chatflow.ID == keystore.EveryChatflow {
			return "list the chatflow in the key file, and the key under its `keys:`"
		}
		return "list the key under the chatflow's `keys:` in the key file"
	case CodeNotCanonical:
		return "spell the path in the one way that is accepted; other spellings are never forwarded"
	}
	return ""
}
