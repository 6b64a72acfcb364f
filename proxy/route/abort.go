package route

import (
	"net/http"
	"slices"
	"strings"
)

// Abort is how the upstream is told to stop what a request has begun.
type Abort struct {
	// Method and Path are those of the request that tells it so. In Path, {chatflow} and {conversation} stand for IDs.
	Method, Path string
	// Conversation says where in the JSON body of the original request the ID of its conversation is. Each entry is the
	// name of a member, followed by names of members within it. The first entry that leads to a value other than null
	// decides; the value must be a string.
	Conversation [][]string
}

// For returns the path that tells the upstream to stop what goes on in a conversation. It is empty if the conversation's
// ID cannot be part of a path.
func (a *Abort) For(chatflow, conversation string) string {
	if !segment.MatchString(conversation) {
		return ""
	}
	return strings.NewReplacer("{chatflow}", chatflow, "{conversation}", conversation).Replace(a.Path)
}

// flowiseAbort is how Flowise is told to stop a prediction. It looks for the ID where utils/buildChatflow.ts does at
// 2.2.8 and 3.1.4. Its event stream reveals the ID only at the end, in the event metadata
// (controllers/predictions/index.ts).
var flowiseAbort = &Abort{
	Method: http.MethodPut, Path: "/api/v1/chatmessage/abort/{chatflow}/{conversation}",
	Conversation: [][]string{{"chatId"}, {"overrideConfig", "sessionId"}},
}

// CanAbort reports whether the upstream can be told to stop a request.
func (p *Preset) CanAbort() bool {
	return slices.ContainsFunc(p.Routes, func(r *Route) bool { return r.Abort != nil })
}
