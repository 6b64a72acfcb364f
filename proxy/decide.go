package proxy

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// decide understands a request and says whether it may pass, and why not. With a key, the request
// counts as having brought one of its secrets. Whoever calls it drops the call's body.
func (p *Proxy) decide(r *http.Request, b *body, key *keystore.Key) (*call, Decision) {
	c, err := p.exposed.parseCall(r.Method, r.RequestURI, r.Header)
	switch {
	case err != nil:
		return c, Decision{Refusal: err}
	case !announced(r):
		return c, Decision{Refusal: badRequest("the Content-Length is not that of the body")}
	case isWebsocket(r.Header) && (!c.route.Websocket || c.preflight || r.ContentLength != 0): // a body would run into what is said there
		return c, Decision{Refusal: badRequest("this request cannot switch protocols")}
	case r.ContentLength != 0 && (c.preflight || c.route.Access == Public || c.route.Access == ListedOnly):
		return c, Decision{Refusal: badRequest("this request takes no body")} // of anybody, without a key
	case c.preflight && p.cors == nil && slices.Contains(c.route.Methods, "*"):
		// The runner's route may take OPTIONS for a call: Flowise 3.1.4 lets preflights from origins that it
		// does not know fall through to the controller of webhooks (routes/webhook/index.ts).
		return c, Decision{Refusal: &Error{
			Code: CodeMethod, Detail: "this path does not take preflights", Reason: "a runner that takes every method may take a preflight for a call; --cors-origins has the gate answer it",
			Allow: strings.Join(c.route.methods(), ", "),
		}}
	case c.preflight:
		return c, Decision{Allowed: true} // a browser sends no key with it; the runner answers for its origins
	}
	c.question = Question{Access: c.route.Access, Chatflow: c.chatflow, Token: c.bearer.token, Bearer: c.bearer.present, Key: key}
	if c.route.Body != "" {
		d, ok := p.mayReadID(c)
		if !ok {
			return c, d
		}
		if err := p.readID(c, r, b, d.Allowed); err != nil {
			return c, Decision{Refusal: err}
		}
	}
	return c, p.decideBody(c, r, b)
}

// announced reports whether a body has the length that its headers say, as far as can be told before it comes.
// In HTTP/2, net/http takes a Content-Length that is no number for an empty body, the first of several for
// all, and none at all for one that a request without a body has (RFC 9113, section 8.1.1).
func announced(r *http.Request) bool {
	if r.ProtoMajor < 2 {
		return true
	}
	values, ok := r.Header["Content-Length"]
	return !ok || len(values) == 1 && values[0] == strconv.FormatInt(r.ContentLength, 10)
}

// decideBody decides about a request whose chatflow is known. Where the chatflow limits what a body may
// hold, a body that may come at all is read and looked at.
func (p *Proxy) decideBody(c *call, r *http.Request, b *body) Decision {
	d := p.ask(c)
	if !d.Allowed {
		return d
	}
	if err := checkForm(d.bodyPolicy(), r); err != nil {
		return d.refused(err)
	}
	if c.body == nil && r.ContentLength != 0 && len(d.bodyPolicy().Deny) > 0 {
		if err := p.hold(c, r, b, p.maxCheckedBody, checkedBodyTime, d.Opens); err != nil {
			return d.refused(err)
		}
		return p.decideBody(c, r, b) // once more, with the body at hand: it may have taken its time
	}
	if err := checkMembers(d.bodyPolicy(), c.route, c.body); err != nil {
		return d.refused(err)
	}
	return d
}

// ask decides about a call by the keys and the time that are now.
func (p *Proxy) ask(c *call) Decision {
	s, now := p.store.Snapshot(), p.now()
	c.loaded, c.now = s.Loaded, now
	return Decide(s, c.question, now)
}

// mayReadID reports whether the body that names the chatflow may be read, or else the refusal. That of a
// caller without a valid key is not read, unless it may be for a chatflow that is open to all.
func (p *Proxy) mayReadID(c *call) (Decision, bool) {
	s := p.store.Snapshot()
	q := c.question
	q.Access = AnyKey
	d := Decide(s, q, p.now())
	return d, d.Allowed || s.AnyPublic()
}

// readID reads the body that names the chatflow, of a caller with a valid key or of another.
func (p *Proxy) readID(c *call, r *http.Request, b *body, keyed bool) *Error {
	if !isPlainJSON(r.Header) {
		return badRequest("the body must be application/json in UTF-8 on this route, and not compressed")
	}
	if err := p.hold(c, r, b, maxIDBody, idBodyTime, keyed); err != nil {
		return err
	}
	if err := c.chatflowInBody(); err != nil {
		return err
	}
	c.question.Chatflow = c.chatflow
	return nil
}

// hold reads the body of a request and keeps it: what is checked is what will be sent. Callers without a
// valid key have memory of their own for it, which others do not miss.
func (p *Proxy) hold(c *call, r *http.Request, b *body, limit int64, within time.Duration, keyed bool) (err *Error) {
	if r.ContentLength > limit {
		return tooLargeToCheck(limit)
	}
	b.until = time.Now().Add(within)
	from := &p.strangers
	if keyed {
		from = &p.holdings
	}
	c.body, err = from.read(r.Body, limit)
	return err
}
