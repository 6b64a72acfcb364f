package proxy

import (
	"net/http"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// DefaultMaxCheckedBody is the largest body that is read to look for denied members, in bytes.
const DefaultMaxCheckedBody = 1 << 20

// maxHeldBodies is how many bodies of that size may be held at once.
const maxHeldBodies = 64

// checkedBodyTime is how long such a body may take to arrive: it is held in memory as it does.
const checkedBodyTime = 60 * time.Second

// checkForm says why a request's body has not the form that the policy asks for, or nil.
func checkForm(policy keystore.BodyPolicy, r *http.Request) *Error {
	switch {
	case !policy.JSONOnly:
		return nil
	case isWebsocket(r.Header):
		return &Error{Code: CodeUnsupportedMedia, Detail: "this chatflow takes single requests in JSON, no websocket", Reason: "the chatflow's `body:` cannot be checked in a websocket"}
	case r.ContentLength == 0 || isPlainJSON(r.Header):
		return nil
	}
	return &Error{Code: CodeUnsupportedMedia, Detail: "this chatflow takes application/json in UTF-8, not compressed, and nothing else", Reason: "the chatflow's `body:` asks for JSON"}
}

// checkMembers says which member of a body the policy denies, or nil. Its name is told as the key file
// spells it; other spellings of it are denied too, for whoever reads them in spite of the case.
func checkMembers(policy keystore.BodyPolicy, r *Route, body *heldBody) *Error {
	if len(policy.Deny) == 0 || body == nil || body.size == 0 {
		return nil
	}
	denied := map[string]string{} // by their letters and digits
	for _, name := range policy.Deny {
		denied[bare(name)] = name
	}
	for _, name := range r.Nested { // what is denied could be in there
		denied[bare(name)] = name
	}
	return eachMember(body.content(), func(name string, _ []byte) *Error {
		as, found := denied[bare(name)]
		if name == "__proto__" { // assigned to an object in JavaScript, its members count as the object's own
			as, found = name, true
		}
		if !found {
			return nil
		}
		return &Error{Code: CodeFieldNotAllowed, Detail: "this chatflow does not take the member " + as, Reason: "member " + as + " is denied by the chatflow's `body:`"}
	})
}
