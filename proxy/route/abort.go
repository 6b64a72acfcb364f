package route

import (
	"net/http"
	"strings"
)

// Abort is how a runner is told to end what a request has begun.
type Abort struct {
	// Method and Path are those of the request that tells it. In Path, {chatflow} and {conversation} stand for IDs.
	Method, Path string
	// Conversation leads to the ID of the conversation in the JSON body of the request that is to end: the names of a member
	// and of those within it. The first that leads to a value other than null counts, if that is a text.
	Conversation [][]string
}

// For returns the path that tells the runner to end what goes on in a conversation, or nothing if its ID cannot stand in one.
func (a *Abort) For(chatflow, conversation string) string {
	if !segment.MatchString(conversation) {
		return ""
	}
	return strings.NewReplacer("{chatflow}", chatflow, "{conversation}", conversation).Replace(a.Path)
}

// flowiseAbort is how Flowise ends a prediction. It looks for the ID where utils/buildChatflow.ts does at 2.2.8 and 3.1.4. Its
// stream tells the ID only at the end, in the event metadata (controllers/predictions/index.ts).
var flowiseAbort = &Abort{
	Method: http.MethodPut, Path: "/api/v1/chatmessage/abort/{chatflow}/{conversation}",
	Conversation: [][]string{{"chatId"}, {"overrideConfig", "sessionId"}},
}

// CanAbort reports whether the runner can be told to end a request.
func (p *Preset) CanAbort() bool {
	for _, r := range p.Routes {
		if r.Abort != nil {
			return true
		}
	}
	return false
}
