package doctor

import (
	"fmt"
	"strings"
)

// target is what a gate in front of one kind of upstream is asked for. All paths begin with a slash, and NOBODY stands
// for a chatflow that does not exist.
type target struct {
	dir, word string   // dir/word/NOBODY calls a chatflow
	beside    string   // another word in dir that has a route; path traversals begin there
	more      []string // further paths, of this upstream alone, that may call a chatflow
	closed    []string // paths of the upstream's user interface and API that are in no route group
	secret    string   // one of closed that is worth something to an attacker
	insider   string   // a header line by which the upstream may take a client for one of its own
	alive     string   // a path that the upstream answers to everyone
	exists    string   // a path that a gate lets through without a key if NOBODY is listed, and that runs nothing; or empty
	alone     string   // how to have the upstream listen on loopback only

	isError func(object map[string]any) bool // whether a JSON object is an error of the upstream's
}

// call is the path that calls a chatflow.
func (t *target) call() string { return t.dir + "/" + t.word + "/" + nobody }

// targets has a target for each preset, by its name.
var targets = map[string]*target{
	"flowise": {
		dir: "/api/v1", word: "prediction", beside: "ping",
		more:   []string{"/api/v1/internal-prediction/" + nobody, "/api/v1/vector/internal-upsert/" + nobody},
		secret: "/api/v1/chatflows",
		closed: []string{
			"/", "/api/v1/chatflows", "/api/v1/apikey", "/api/v1/credentials", "/api/v1/variables", "/api/v1/chatmessage/NOBODY", "/api/v1/feedback/NOBODY", "/api/v1/leads/NOBODY",
			"/api/v1/public-chatflows/NOBODY", "/api/v1/chatflows/apikey/x", "/api/v1/verify/apikey/x", "/api/v1/upsert-history", "/api/v1/flow-config/NOBODY", "/api/v1/stats/NOBODY",
			"/api/v1/fetch-links", "/api/v1/nodes", "/api/v1/executions", "/api/v1/settings", "/api/v1/version", "/admin/queues", "/socket.io/?EIO=4&transport=polling",
			"/api/v1/chatflows?x=/api/v1/ping", "/metrics", "/status", "/readyz",
		},
		insider: "x-request-from: internal\r\n",
		alive:   "/api/v1/ping", exists: "/api/v1/chatflows-streaming/" + nobody, alone: "HOST=127.0.0.1 for Flowise",
		isError: func(object map[string]any) bool {
			return has(object, "success", "statusCode") || object["error"] == "Unauthorized Access"
		},
	},
	"langflow": {
		dir: "/api/v1", word: "run", beside: "version",
		more:   []string{"/api/v1/run/session/" + nobody, "/api/v1/build/" + nobody + "/flow", "/api/v1/build_public_tmp/" + nobody + "/flow"},
		secret: "/api/v1/flows/",
		closed: []string{
			"/", "/api/v1/flows/", "/api/v1/flows/NOBODY", "/api/v1/flows/public_flow/NOBODY", "/api/v1/api_key/", "/api/v1/variables/", "/api/v1/users/", "/api/v1/users/whoami", "/api/v1/auto_login",
			"/api/v1/all", "/api/v1/config", "/api/v1/version", "/api/v1/projects/", "/api/v1/folders/", "/api/v1/files/list/NOBODY", "/api/v1/monitor/messages", "/api/v1/monitor/transactions?flow_id=NOBODY",
			"/api/v1/mcp/sse", "/api/v2/files", "/api/v2/mcp/servers", "/api/v1/flows/?x=/health", "/docs", "/openapi.json", "/logs", "/health", "/metrics", "/status", "/readyz",
		},
		insider: "x-api-key: flowlatch-doctor-has-no-key\r\n",
		alive:   "/health", alone: "LANGFLOW_HOST=127.0.0.1 for Langflow",
		isError: func(object map[string]any) bool { return has(object, "detail") && len(object) == 1 }, // FastAPI
	},
	"n8n": {
		word: "webhook", beside: "healthz",
		more:   []string{"/webhook-test/" + nobody, "/webhook-waiting/" + nobody, "/form/" + nobody, "/form-test/" + nobody, "/form-waiting/" + nobody, "/mcp/" + nobody, "/mcp-test/" + nobody, "/chat/" + nobody},
		secret: "/rest/workflows",
		closed: []string{
			"/", "/rest/workflows", "/rest/workflows/NOBODY", "/rest/credentials", "/rest/executions", "/rest/active-workflows", "/rest/users", "/rest/login", "/rest/settings", "/rest/variables",
			"/rest/oauth2-credential/callback", "/rest/binary-data?id=x", "/rest/push?pushRef=x", "/api/v1/workflows", "/api/v1/executions", "/api/v1/credentials", "/api/v1/docs/", "/types/nodes.json",
			"/types/credentials.json", "/webhook-waiting/NOBODY", "/form/NOBODY", "/rest/workflows?x=/webhook/", "/healthz", "/metrics", "/status", "/readyz",
		},
		insider: "X-N8N-API-KEY: flowlatch-doctor-has-no-key\r\n",
		alive:   "/healthz", alone: "N8N_LISTEN_ADDRESS=127.0.0.1 for n8n",
		isError: func(object map[string]any) bool {
			return has(object, "code", "message") || object["status"] == "error" && has(object, "message")
		},
	},
}

// has reports whether an object has all the members.
func has(object map[string]any, members ...string) bool {
	for _, name := range members {
		if _, ok := object[name]; !ok {
			return false
		}
	}
	return true
}

// spellingTemplates are other spellings of the path that calls a chatflow, which an upstream or a proxy may take for
// it: Flowise decodes a path, strips markup from it and decodes it again before it routes; Express ignores the case of
// letters. spellings has what to put in place of the words between < and >.
var spellingTemplates = []string{
	"<D>/%<X><R>/NOBODY", "<E>/<W>/NOBODY", "<D>/%25<X><R>/NOBODY", "<D>/%2525<X><R>/NOBODY",
	"<D>/&#<#>;<R>/NOBODY", "<D>/&#x<X>;<R>/NOBODY", "<D>&sol;<W>&sol;NOBODY", "<D>/%26%23<#>%3B<R>/NOBODY",
	"<D>/<w><x><R>/NOBODY", "<D>/<w>%3Cx%3E<R>/NOBODY", "<D>/<W>/<b>NOBODY", "<D>/<W>/<!--x-->NOBODY", "<D>/<W>/%3C!--x--%3ENOBODY",
	"<D>/<W>/NOBODY/", "<D>/<W>/NOBODY//", "<D>/<W>//NOBODY", "<D>//<W>/NOBODY", "/<D>/<W>/NOBODY", "<2>/<W>/NOBODY",
	"<D>/<W>/NOBODY%20", "<D>/<W>/NOBODY%0a", "<D>/<W>/NOBODY%00", "<D>/<W>/%20NOBODY", "<D>/<W>/NOBODY%2F", "<D>/<W>%2FNOBODY",
	"/<S>%2F<W>%2FNOBODY", "<D>/<W>/NOBODY;x=1", "<D>/<W>;x=1/NOBODY", "<;>/<W>/NOBODY", "<D>/<W>/NOBODY#x", "<D>/<W>/NOBODY%23x", "<D>/<W>/NOBODY%3Fx",
	"<D>/./<W>/NOBODY", "<D>/<B>/../<W>/NOBODY", "<D>/<B>/%2e%2e/<W>/NOBODY", "<D>/<B>/.%2e/<W>/NOBODY", "<D>/<B>/..%2f<W>/NOBODY", "<D>/<B>/%2e%2e%2f<W>/NOBODY", "<D>/<B>/..;/<W>/NOBODY",
	`<D>/<W>\NOBODY`, `<D>/<B>\..\<W>/NOBODY`, "<D>/<B>/..%5c<W>/NOBODY", "<D>/%c0%af<W>/NOBODY", "<D>/<B>/%c0%ae%c0%ae/<W>/NOBODY",
	"<D>/<C>/NOBODY", "<U>/<W>/NOBODY", "<U>/<C>/NOBODY", "<D>/<W>", "<D>/<W>/", "<D>/<W>/{NOBODY}",
}

// spellings returns other paths that may call a chatflow.
func (t *target) spellings() (paths []string) {
	replace := strings.NewReplacer(
		"<D>", t.dir, "<W>", t.word, "<B>", t.beside,
		"<w>", t.word[:1], "<R>", t.word[1:], "<X>", fmt.Sprintf("%02x", t.word[0]), "<#>", fmt.Sprint(t.word[0]), // its first letter, the rest of it, the letter's number
		"<U>", strings.ToUpper(t.dir), "<C>", strings.ToUpper(t.word),
		// dir with encoded slashes, an encoded letter, a double slash, a parameter
		"<S>", strings.ReplaceAll(strings.TrimPrefix(t.dir, "/"), "/", "%2F"), "<E>", strings.Replace(t.dir, "/a", "/%61", 1), "<2>", strings.Replace(t.dir, "/v", "//v", 1), "<;>", strings.Replace(t.dir, "/v", ";x/v", 1),
	)
	seen := map[string]bool{t.call(): true}
	for _, s := range spellingTemplates {
		if p := replace.Replace(s); !seen[p] {
			seen[p] = true
			paths = append(paths, p)
		}
	}
	return append(paths, t.more...)
}
