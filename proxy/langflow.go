package proxy

import (
	"net/http"
	"regexp"
)

// Langflow returns what is known of Langflow 1.7 to 1.12, from its source (api/v1/endpoints.py,
// helpers/flow.py, services/auth/utils.py in src/backend/base/langflow) and documentation.
//
// Its flows are the chatflows. Each is called by its ID or by its endpoint name, and is opened by what
// the key file lists: a flow that is listed by its ID alone cannot be called by its name.
func Langflow() *Preset {
	const v1 = "/api/v1/"
	post := []string{http.MethodPost}
	return &Preset{
		Name: "langflow", Runner: "Langflow",
		IDs:              "lower-case UUIDs, or endpoint names of letters, digits, - and _",
		Expose:           []string{"run"},
		Upstream:         "http://127.0.0.1:7860",
		CredentialHeader: "X-Api-Key",
		// A header X-LANGFLOW-GLOBAL-VAR-NAME takes the place of the operator's variable NAME in a run.
		HeaderPrefixes: []string{"X-Langflow-"},
		Routes: []*Route{
			// Every parameter but stream is refused: x-api-key is a credential, and by user_id some releases
			// look a name up among the flows of that user.
			{
				Group: "run", Name: "run", Methods: post, Path: v1 + "run/{chatflow}", IsID: isLangflowID,
				Query: []Param{{Name: "stream", Pattern: regexp.MustCompile(`^(true|false)$`)}},
				// The whole of what stands at the top of a body may stand in this member, from when the route has
				// taken a context as well: FastAPI embeds the one body parameter when there are two.
				Nested: []string{"input_request"},
			},
			{Group: "advanced", Name: "run-advanced", Methods: post, Path: v1 + "run/advanced/{chatflow}", IsID: isLangflowID},
			{Group: "webhook", Name: "webhook", Methods: post, Path: v1 + "webhook/{chatflow}", IsID: isLangflowID},
		},
	}
}

// isLangflowID reports whether s is a flow's ID or may be its endpoint name. A UUID in any spelling but
// the usual one is neither: Langflow would take it for the ID. Python's UUID drops hyphens wherever they stand, and
// reads the 32 characters that are left as a number: in any case, with 0x before it, and with underscores in it.
func isLangflowID(s string) bool {
	if isUUID(s) {
		return true
	}
	if s == "" || len(s) > 128 {
		return false
	}
	digits, other := 0, false // of such a number, and what is in none
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
