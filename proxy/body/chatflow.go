package body

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// Chatflow returns the chatflow that a request is for: the one that its body names, if the route has it there, or the one
// that is known already. It refuses a body that contradicts that, and members that the route refuses.
func Chatflow(r *route.Route, known string, b *Buffered) (id string, refusal *problem.Error) {
	if r.Body == "" {
		return known, refusedMember(r, b.Content())
	}
	id, refusal = chatflowMember(r, b.Content())
	if refusal == nil && known != "" && known != id {
		refusal = problem.New(problem.BadChatflowID, "the path and the body name different chatflows")
	}
	return id, refusal
}

// chatflowMember returns the chatflow ID in the JSON object raw, and refuses members that could be mistaken for it:
// names are looked up with regard to case by JavaScript and without by others. It also refuses the members that the
// route refuses.
func chatflowMember(r *route.Route, raw []byte) (id string, refusal *problem.Error) {
	found := false
	refusal = eachMember(raw, func(name string, value jsontext.Value) *problem.Error {
		switch {
		case name == r.Body && found:
			return problem.New(problem.BadChatflowID, "the body names the chatflow twice")
		case name == r.Body:
			found = true
			if value.Kind() != '"' {
				return problem.New(problem.BadChatflowID, "the chatflow ID in the body is not a string")
			}
			text, err := jsontext.AppendUnquote(nil, value)
			id = string(text)
			if err != nil {
				return problem.New(problem.BadChatflowID, "the chatflow ID in the body is malformed")
			}
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
	}
	return id, nil
}

// refusedMember refuses a JSON object with a member that the route refuses. Without any such member, nothing is looked at.
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
