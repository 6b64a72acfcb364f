//go:build e2e

package differential

import (
	"math/rand/v2"
	"slices"
)

// class is one kind of change. What it does is drawn from r alone.
type class struct {
	name   string
	change func(r *rand.Rand, m *message)
	apt    []string // the routes on which it may do something; nil for no preference
}

// Routes that read the chatflow from the body, from the query, and those that take any method.
var (
	inBody    = []string{"feedback", "leads", "text-to-speech", "text-to-speech-abort"}
	inQuery   = []string{"get-upload-file", "webhook"}
	anyMethod = []string{"webhook", "mcp", "get-upload-file"}
	inPath    = []string{"prediction", "chatflows-streaming", "chatflows-uploads", "abort", "attachments", "public-chatbotConfig", "vector-upsert", "mcp", "webhook"}
	all       = append(append([]string{"feedback-update", "get-upload-file", "ping", "node-icon"}, inPath...), inBody...)
)

// Classes returns the names of all kinds of change.
func Classes() []string {
	var names []string
	for _, c := range allClasses() {
		names = append(names, c.name)
	}
	return names
}

func (g Generator) classes() []class {
	return slices.DeleteFunc(allClasses(), func(c class) bool { return slices.Contains(g.Skip, c.name) })
}

func allClasses() []class {
	return []class{
		{"percent-encoding", percent, inPath},
		{"entities", entities, inPath},
		{"markup", markup, inPath},
		{"dot segments", dots, inPath},
		{"slashes", slashes, inPath},
		{"backslashes", backslashes, nil},
		{"parameters", parameters, inPath},
		{"fragments", fragments, nil},
		{"odd bytes", oddBytes, inPath},
		{"case", letterCase, inPath},
		{"chatflow IDs", ids, inPath},
		{"beginnings and ends", ends, nil},
		{"request targets", targets, nil},
		{"methods", methods, anyMethod},
		{"query of an ID", queryIDs, inQuery},
		{"query", queries, inQuery},
		{"members", bodyMembers, inBody},
		{"JSON text", jsonText, inBody},
		{"body encoding", bodyEncoding, inBody},
		{"content type", contentTypes, inBody},
		{"Authorization", authorization, inPath},
		{"managed headers", managedHeaders, all},
		{"connection headers", connectionHeaders, all},
		{"framing", framing, all},
		{"request lines", requestLines, nil},
		{"second request", secondRequests, all},
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }
