package route

import (
	"net/http"
	"regexp"
)

// Langflow returns what is known of Langflow 1.7 to 1.12, from its source (api/v1/endpoints.py,
// helpers/flow.py, services/auth/utils.py in src/backend/base/langflow) and documentation.
//
// Its flows are the chatflows. Each is called by its ID or by its endpoint name, and the key file must list the one
// that is used: a flow that is listed by its ID alone cannot be called by its name.
func Langflow() *Preset {
	const v1 = "/api/v1/"
	post := []string{http.MethodPost}
	return &Preset{
		Name: "langflow", Runner: "Langflow",
		IDs:              "lower-case UUIDs, or endpoint names of letters, digits, - and _",
		Expose:           []string{"run"},
		Upstream:         "http://127.0.0.1:7860",
		CredentialHeader: "X-Api-Key",
		UpstreamKey:      "an API key of Langflow",
		// A header X-LANGFLOW-GLOBAL-VAR-NAME replaces the operator's variable NAME in a run.
		HeaderPrefixes: []string{"X-Langflow-"},
		Routes: []*Route{
			// All parameters but stream are refused: x-api-key is a credential, and given user_id, some releases look up
			// a name among that user's flows.
			{
				Group: "run", Name: "run", Methods: post, Path: v1 + "run/{chatflow}", IsID: isLangflowID,
				Query: []Param{{Name: "stream", Pattern: regexp.MustCompile(`^(true|false)$`)}},
				// This member may hold everything that is usually at the top level of the body: since the route takes a
				// context as well, FastAPI nests the body parameter.
				Nested: []string{"input_request"},
			},
			{Group: "advanced", Name: "run-advanced", Methods: post, Path: v1 + "run/advanced/{chatflow}", IsID: isLangflowID},
			{Group: "webhook", Name: "webhook", Methods: post, Path: v1 + "webhook/{chatflow}", IsID: isLangflowID},
		},
	}
}

// isLangflowID reports whether s is a flow's ID or can be its endpoint name. A UUID in any but the usual form is neither,
// because Langflow would take it for the ID: Python's UUID drops all hyphens and reads the remaining 32 characters as a
// number, in either case, with a leading 0x and with underscores in it.
func isLangflowID(s string) bool {
	if isUUID(s) {
		return true
	}
	if s == "" || len(s) > 128 {
		return false
	}
	digits, other := 0, false // characters that can be in such a number; whether there are others
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' || c == '_' || c == 'x' || c == 'X':
			digits++
		case c == '-':
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			other = true
		default:
			return false
		}
	}
	return other || digits != 32
}
