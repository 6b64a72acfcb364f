package body

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// The limits of bodies that are read before they are forwarded.
const (
	checkedTime = 60 * time.Second // the body is held in memory while it arrives

	maxIDSize = 64 << 10         // the largest body that is read to find a chatflow ID, in bytes
	idTime    = 10 * time.Second // the body is small, and the key may be revoked meanwhile
)

// Rules say what a request's body must be like.
type Rules struct {
	Route     *route.Route
	Policy    keystore.BodyPolicy // of the chatflow and the browser token
	Websocket bool                // the request asks for a websocket
	// Conversation says that the request may have to be aborted, which needs the conversation that its body names.
	Conversation bool
}

// Read reads the body as a whole if something in it must be known before it is forwarded: if it names the chatflow, if
// the policy denies members or, if it is short, to learn its conversation. What is checked is what is sent upstream.
// Otherwise Read returns nil.
func (r Rules) Read(b *Reader, from *Budget, client Client) (*Buffered, *problem.Error) {
	limits := Limits{from.maxChecked, checkedTime}
	switch length := b.request.ContentLength; {
	case r.Route.Body != "", len(r.Route.Refuse) > 0 && length != 0:
		if !b.IsJSON() {
			return nil, problem.New(problem.BadRequest, "the body must be application/json in UTF-8 on this route, and not compressed")
		}
		limits = Limits{maxIDSize, idTime}
	case len(r.Policy.Deny) > 0 && length != 0:
		if refusal := r.checkForm(b); refusal != nil {
			return nil, refusal
		}
	case r.Conversation && b.IsJSON() && length > 0 && length <= limits.Size:
	default:
		return nil, nil
	}
	return b.Buffer(from, client, limits)
}

// Check refuses a body that the policy does not accept. If Read returned nil, b has not been read, and only its form is
// checked.
func (r Rules) Check(b *Reader, read *Buffered) *problem.Error {
	if refusal := r.checkForm(b); refusal != nil {
		return refusal
	}
	if raw := read.Content(); len(r.Policy.Deny) > 0 && len(raw) > 0 {
		return r.checkMembers(raw)
	}
	return nil
}

// checkForm refuses a body that does not have the form that the policy requires.
func (r Rules) checkForm(b *Reader) *problem.Error {
	switch {
	case !r.Policy.JSONOnly:
		return nil
	case r.Websocket:
		return &problem.Error{Code: problem.UnsupportedMediaType, Detail: "this chatflow takes single requests in JSON, no websocket", Reason: "the chatflow's `body:` cannot be checked in a websocket"}
	case b.request.ContentLength == 0 || b.IsJSON():
		return nil
	}
	return &problem.Error{Code: problem.UnsupportedMediaType, Detail: "this chatflow takes application/json in UTF-8, not compressed, and nothing else", Reason: "the chatflow's `body:` asks for JSON"}
}

// checkMembers refuses a body with a member that the policy denies. Only letters and digits of names are compared,
// without regard to case, because some upstreams ignore case.
func (r Rules) checkMembers(raw []byte) *problem.Error {
	// The operator's names, by their bare form. Nested ones are added because a denied member could be inside.
	denied := map[string]string{}
	for _, name := range slices.Concat(r.Policy.Deny, r.Route.Nested) {
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
