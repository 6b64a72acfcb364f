package proxy

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/body"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// The limits of bodies that are read before they are forwarded.
const (
	// DefaultMaxCheckedBody is the largest body that is read to look for denied members, in bytes.
	DefaultMaxCheckedBody = 1 << 20
	checkedBodyTime       = 60 * time.Second // it is held in memory while it arrives

	maxIDBody  = 64 << 10         // the largest body that is read to find a chatflow ID, in bytes
	idBodyTime = 10 * time.Second // it is small, and the key may be revoked meanwhile
)

// readBody reads the body where it must be understood before it is forwarded: where it names the chatflow, where the
// chatflow denies members, or, if it is short, where it names the conversation that may have to be ended. What is checked is
// what is sent upstream. Where nobody asks, it returns nil.
func (p *Proxy) readBody(in *http.Request, b *body.Reader, a *authorization) (*body.Buffered, *problem.Error) {
	limits := body.Limits{Size: maxIDBody, Time: idBodyTime}
	switch {
	case a.Route.Body != "", len(a.Route.Refuse) > 0 && in.ContentLength != 0:
		if !isPlainJSON(in.Header) {
			return nil, problem.New(problem.BadRequest, "the body must be application/json in UTF-8 on this route, and not compressed")
		}
	case len(a.bodyPolicy().Deny) > 0 && in.ContentLength != 0:
		if refusal := checkForm(a, in); refusal != nil {
			return nil, refusal
		}
		limits = body.Limits{Size: p.opts.MaxCheckedBody, Time: checkedBodyTime}
	case a.mayAbort() && isPlainJSON(in.Header) && in.ContentLength > 0 && in.ContentLength <= p.opts.MaxCheckedBody:
		limits = body.Limits{Size: p.opts.MaxCheckedBody, Time: checkedBodyTime}
	default:
		return nil, nil
	}
	if in.ContentLength > limits.Size {
		return nil, body.TooLargeToCheck(limits.Size)
	}
	return b.Buffer(p.bodyBudget, body.Client{Addr: a.question.Client, HasKey: a.Opens}, limits)
}

// bodyPolicy is what the chatflow says of request bodies and, for a browser token, its key.
func (a *authorization) bodyPolicy() keystore.BodyPolicy {
	policy := a.browserBody()
	if a.Entry == nil {
		return policy
	}
	return policy.And(a.Entry.Body)
}

// chatflowOf returns the chatflow that a request with a buffered body is for.
func chatflowOf(a *authorization) (string, *problem.Error) {
	if a.Route.Body == "" {
		return a.question.Chatflow, refusedMember(a.Route, a.buffered.Content())
	}
	id, refusal := chatflowMember(a.Route, a.buffered.Content())
	if refusal == nil && a.Chatflow != "" && a.Chatflow != id {
		refusal = problem.New(problem.BadChatflowID, "the path and the body name different chatflows")
	}
	return id, refusal
}

// checkBody refuses a body that the chatflow does not accept.
func checkBody(in *http.Request, a *authorization) *problem.Error {
	policy := a.bodyPolicy()
	if refusal := checkForm(a, in); refusal != nil {
		return refusal
	}
	if len(policy.Deny) == 0 || len(a.buffered.Content()) == 0 {
		return nil
	}
	return checkMembers(policy, a.Route, a.buffered.Content())
}

// checkForm refuses a body that is not in the form that the chatflow's policy asks for.
func checkForm(a *authorization, in *http.Request) *problem.Error {
	switch {
	case !a.bodyPolicy().JSONOnly:
		return nil
	case a.Websocket:
		return &problem.Error{Code: problem.UnsupportedMediaType, Detail: "this chatflow takes single requests in JSON, no websocket", Reason: "the chatflow's `body:` cannot be checked in a websocket"}
	case in.ContentLength == 0 || isPlainJSON(in.Header):
		return nil
	}
	return &problem.Error{Code: problem.UnsupportedMediaType, Detail: "this chatflow takes application/json in UTF-8, not compressed, and nothing else", Reason: "the chatflow's `body:` asks for JSON"}
}

// checkMembers refuses a body with a member that the policy denies. Names are compared by their letters and digits
// alone, since some upstreams ignore case.
func checkMembers(policy keystore.BodyPolicy, r *route.Route, raw []byte) *problem.Error {
	denied := map[string]string{} // names as the operator wrote them, by their bare form
	for _, name := range policy.Deny {
		denied[bareName(name)] = name
	}
	for _, name := range r.Nested { // a denied member could be in there
		denied[bareName(name)] = name
	}
	return eachMember(raw, func(name string, _ jsontext.Value) *problem.Error {
		as, found := denied[bareName(name)]
		switch {
		case name == protoMember:
			as = name
		case !found:
			return nil
		}
		return &problem.Error{Code: problem.FieldNotAllowed, Detail: "this chatflow does not accept the member " + as, Reason: "the chatflow's `body:`, or for a browser token its key's `browser:`, denies the member " + as}
	})
}
