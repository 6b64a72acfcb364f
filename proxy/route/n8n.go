package route

import "strings"

// n8nDepth is how many segments may follow the ID in the path of a webhook.
const n8nDepth = 6

// N8n returns what is known of n8n 1.x, from its source (packages/cli/src/webhooks), and tried on 1.123.81.
//
// Its production webhooks are the chatflows, each called by its path after /webhook/. A path of one segment is an ID.
// Longer paths are accepted only below a UUID, which n8n itself puts before a path with parameters and before the
// path of a Chat Trigger. In other paths, such as user/profile, the first segment does not identify the webhook; they
// need routes of their own.
//
// Test webhooks, forms, waiting executions (named by consecutive numbers) and n8n's own API are in no group.
func N8n() *Preset {
	p := &Preset{
		Name: "n8n", Runner: "n8n",
		IDs:              "the one segment after /webhook/, of letters, digits, - . _ and ~",
		Expose:           []string{"webhook"},
		Upstream:         "http://127.0.0.1:5678",
		CredentialHeader: "Authorization",
		UpstreamKey:      "the credential that the workflow's webhook asks for",
		Headers:          []string{"X-N8n-Api-Key"}, // the key of n8n's own API, which a workflow could see and store
	}
	// All methods, so that preflights are not passed on: n8n's response to a preflight reveals whether the path exists.
	webhook := func(path string, isID func(string) bool) {
		p.Routes = append(p.Routes, &Route{Group: "webhook", Name: "webhook", Methods: []string{"*"}, Path: path, IsID: isID, AnyQuery: true})
	}
	webhook("/webhook/{chatflow}", isN8nID)
	path := "/webhook/{chatflow}"
	for i := range n8nDepth {
		path += "/{" + strings.Repeat("p", i+1) + "}"
		webhook(path, isUUID)
	}
	return p
}

// isN8nID reports whether s can be the path of a webhook. n8n compares it without decoding.
func isN8nID(s string) bool {
	for i := range len(s) {
		if !plain(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
