package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/body"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// authorization is a parsed request and what was decided about it. The upstream request is built from it.
type authorization struct {
	*route.Request
	Decision

	question Question
	now      time.Time          // when the decision was made
	snapshot *keystore.Snapshot // the keys that it was based on; nil if the request was refused before
	buffered *body.Buffered     // nil unless the body was read to decide; the caller of authorize closes it
}

// assumed is what a request counts as having presented, for asking what a key may do without having its secret: one of
// the key's secrets or, if page is set, a browser token. The zero value means what the request itself presents.
type assumed struct {
	key  *keystore.Key
	page token.Presented
}

// authorize parses a request, decides about it by its request line and headers, and fills in a, which must be empty.
func (p *Proxy) authorize(a *authorization, in *http.Request, started time.Time, client netip.Addr, as assumed) {
	var refusal *problem.Error
	if a.Request, refusal = p.exposed.Parse(in); refusal != nil {
		a.deny(refusal)
		return
	}
	if a.Preflight {
		a.Decision = p.decidePreflight(a.Route)
		return
	}
	access, chatflow := a.Route.Access, a.Chatflow
	if of, known := p.created.chatflow(a.Created); known {
		access, chatflow = route.ChatflowKey, of
	}
	a.question = Question{
		Access: access, Chatflow: chatflow, InBody: a.Route.Body != "" && a.Chatflow == "", Bearer: a.Bearer,
		Group: a.Route.Group, Client: client, Key: as.key, Page: as.page,
	}
	if as.key == nil {
		a.question.Page = p.pageToken(a.Bearer, in, p.at(started))
	}
	a.decide(p, started)
}

// authorizeBody reads the body of an allowed request if the route or the chatflow requires that, decides once more, and
// checks the body.
func (p *Proxy) authorizeBody(a *authorization, b *body.Reader) {
	if !a.Allowed || a.Preflight {
		return
	}
	rules := a.bodyRules()
	buffered, refusal := rules.Read(b, p.bodyBudget, body.Client{Addr: a.question.Client, HasKey: a.Opens})
	if buffered != nil { // reading may have taken a while, and the body may have named the chatflow
		a.buffered = buffered
		if a.question.Chatflow, refusal = body.Chatflow(a.Route, a.question.Chatflow, buffered); refusal == nil {
			a.question.InBody = false
			a.decide(p, time.Now())
			rules = a.bodyRules()
		}
	}
	if refusal == nil && a.Allowed {
		refusal = rules.Check(b, buffered)
	}
	if refusal != nil {
		a.deny(refusal)
	}
}

// bodyRules returns what the route, the chatflow and, for a browser token, its key require of the body.
func (a *authorization) bodyRules() body.Rules {
	policy := a.browserBody()
	if a.Entry != nil {
		policy = policy.And(a.Entry.Body)
	}
	return body.Rules{Route: a.Route, Policy: policy, Websocket: a.Websocket, Conversation: a.mayAbort()}
}

// decide decides by the keys that are valid now.
func (a *authorization) decide(p *Proxy, now time.Time) {
	now = p.at(now)
	a.now, a.snapshot = now, p.opts.Store.Snapshot()
	a.Decision = Decide(a.snapshot, a.question, now)
}

// deny refuses the request for a reason other than its key.
func (a *authorization) deny(err *problem.Error) { a.Allowed, a.Refusal = false, err }

// decidePreflight decides about a CORS preflight, which browsers send without a key. The gate answers it if it has a list
// of origins; otherwise the upstream does.
func (p *Proxy) decidePreflight(r *route.Route) Decision {
	if p.cors == nil && r.AnyMethod() {
		// The upstream's route may take OPTIONS for a call: Flowise 3.1.4 lets preflights from origins that it does not
		// know fall through to the controller of webhooks (routes/webhook/index.ts).
		return Decision{Refusal: &problem.Error{
			Code: problem.MethodNotAllowed, Detail: "this path does not take preflights", Allow: strings.Join(r.AllMethods(), ", "),
			Reason: "an upstream that takes every method may take a preflight for a call; with --cors-origins the gate answers it",
		}}
	}
	return Decision{Allowed: true}
}
