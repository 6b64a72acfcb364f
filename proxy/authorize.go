package proxy

import (
	"net/http"
	"strings"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// authorization is a request as it was understood and what was decided about it. What is sent upstream is built from
// it.
type authorization struct {
	*route.Request
	Decision

	question Question
	now      time.Time          // when it was decided
	snapshot *keystore.Snapshot // by which keys; nil if the request was refused before
	buffered *bufferedBody      // nil unless the body was read to decide; whoever called authorize closes it
}

// authorize decides about a request: it is parsed, decided about by its request line and headers, its body is read
// where the route or the chatflow asks for that, and it is decided about once more. With a key, the request counts as
// having presented one of its secrets.
func (p *Proxy) authorize(in *http.Request, body *requestBody, started time.Time, key *keystore.Key) (a authorization) {
	var refusal *problem.Error
	if a.Request, refusal = p.exposed.Parse(in); refusal != nil {
		return a.refuse(refusal)
	}
	if a.Preflight {
		a.Decision = p.decidePreflight(a.Route)
		return a
	}
	a.question = Question{Access: a.Route.Access, Chatflow: a.Chatflow, InBody: a.Route.Body != "" && a.Chatflow == "", Bearer: a.Bearer, Key: key}
	if a.decide(p, started); !a.Allowed {
		return a
	}
	if a.buffered, refusal = p.readBody(in, body, a); refusal != nil {
		return a.refuse(refusal)
	}
	if a.buffered != nil { // it may have taken its time, and may have named the chatflow
		if a.question.Chatflow, refusal = chatflowOf(a); refusal != nil {
			return a.refuse(refusal)
		}
		a.question.InBody = false
		if a.decide(p, time.Now()); !a.Allowed {
			return a
		}
	}
	if refusal = checkBody(in, a); refusal != nil {
		return a.refuse(refusal)
	}
	return a
}

// decide decides by the keys that are valid now.
func (a *authorization) decide(p *Proxy, now time.Time) {
	if p.opts.Now != nil {
		now = p.opts.Now()
	}
	a.now, a.snapshot = now, p.opts.Store.Snapshot()
	a.Decision = Decide(a.snapshot, a.question, now)
}

// refuse returns a with a refusal for a reason other than its key.
func (a authorization) refuse(err *problem.Error) authorization {
	a.Allowed, a.Refusal = false, err
	return a
}

// decidePreflight decides about a CORS preflight, with which a browser sends no key. The gate answers it where it has
// origins of its own; otherwise the upstream does.
func (p *Proxy) decidePreflight(r *route.Route) Decision {
	if p.cors == nil && r.AnyMethod() {
		// The upstream's route may take OPTIONS for a call: Flowise 3.1.4 lets preflights from origins that it does
		// not know fall through to the controller of webhooks (routes/webhook/index.ts).
		return Decision{Refusal: &problem.Error{
			Code: problem.MethodNotAllowed, Detail: "this path does not take preflights", Allow: strings.Join(r.AllMethods(), ", "),
			Reason: "an upstream that takes every method may take a preflight for a call; with --cors-origins the gate answers it",
		}}
	}
	return Decision{Allowed: true}
}
