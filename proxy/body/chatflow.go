package body

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// Chatflow returns the ID of the chatflow that a request is for: the one that its body names, if the route has it there,
// or else known. It refuses a body that names another chatflow than known, that has a member which the route refuses, or
// that has one whose name could be mistaken for the chatflow's: JavaScript looks up names with regard to case, others
// without.
func Chatflow(r *route.Route, known string, b *Buffered) (id string, refusal *problem.Error) {
	if r.Body == "" {
		return known, refusedMember(r, b.Content())
	}
	found := false
	refusal = eachMember(b.Content(), func(name string, value jsontext.Value) *problem.Error {
		switch {
		case name == r.Body && found:
			return problem.New(problem.BadChatflowID, "the body names the chatflow twice")
		case name == r.Body && value.Kind() != '"':
			return problem.New(problem.BadChatflowID, "the chatflow ID in the body is not a string")
		case name == r.Body:
			text, _ := jsontext.AppendUnquote(nil, value) // it has been read
			id, found = string(text), true
		case refuses(r, name):
			return memberRefused
		case bareName(name) == bareName(r.Body), name == protoMember:
			return problem.New(problem.BadChatflowID, "the body has a member whose name could be mistaken for the chatflow's")
		}
		return nil
	})
	switch {
	case refusal != nil:
		return "", refusal
	case !found:
		return "", problem.New(problem.BadChatflowID, "the body does not name a chatflow")
	case !r.AcceptsID(id):
		return "", problem.New(problem.BadChatflowID, "the chatflow ID in the body is malformed")
	case known != "" && known != id:
		return id, problem.New(problem.BadChatflowID, "the path and the body name different chatflows")
	}
	return id, nil
}

// refusedMember refuses a JSON object with a member that the route refuses. If the route refuses none, the body is not
// looked at.
func refusedMember(r *route.Route, raw []byte) *problem.Error {
	if len(r.Refuse) == 0 {
		return nil
	}
	return eachMember(raw, func(name string, _ jsontext.Value) *problem.Error {
		if name == protoMember || refuses(r, name) {
			return memberRefused
		}
		return nil
	})
}

func refuses(r *route.Route, name string) bool {
	return slices.ContainsFunc(r.Refuse, func(refused string) bool { return bareName(name) == bareName(refused) })
}

var memberRefused = problem.New(problem.BadRequest, "the body has a member that clients may not set")
