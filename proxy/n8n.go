package proxy

import "strings"

// n8nDepth is how many segments may follow the ID in the path of a webhook.
const n8nDepth = 6

// N8n returns what is known of n8n 1.x, from its source (packages/cli/src/webhooks), and tried on 1.123.81.
//
// Its production webhooks are the chatflows, each called by its path after /webhook/. One segment is an
// ID whatever it is. More of them are taken only below a UUID, which is what n8n itself puts before a
// path with parameters and before the path of a Chat Trigger: it is the webhook's own. Of other paths,
// such as user/profile, the first segment says nothing about whose they are, and they need a route
// of their own.
//
// Test webhooks, forms, executions that wait (they are named by numbers in a row) and n8n's own API
// are in no group.
func N8n() *Preset {
	p := &Preset{
		Name: "n8n", Runner: "n8n",
		IDs:              "the one segment after /webhook/, of letters, digits, - . _ and ~",
		Expose:           []string{"webhook"},
		Upstream:         "http://127.0.0.1:5678",
		CredentialHeader: authorizationHeader,
		Headers:          []string{"X-N8n-Api-Key"}, // n8n's own API's, which a workflow would see and store
	}
	// "*", so that preflights are not passed on: n8n answers those for paths that there are in another way.
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

// isN8nID reports whether s can be the path of a webhook, which n8n compares as it is.
func isN8nID(s string) bool {
	for i := range len(s) {
		if !plain(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
