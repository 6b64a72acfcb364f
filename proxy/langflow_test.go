package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

const (
	botTweaked   = "00000000-0000-4000-8000-00000000000d"
	langflowKeys = `version: 1
keys:
  - {id: key-a, secret: ` + secretA + `}
  - {id: key-b, secret: ` + secretB + `}
  - {id: ops, secret: ` + secretOps + `}
chatflows:
  - {id: ` + botA + `, keys: [key-a]}
  - {id: support-bot, keys: [key-a]}
  - {id: ` + botB + `, keys: [key-b]}
  - {id: ` + botTweaked + `, keys: [key-a], body: {deny: [tweaks]}}
  - {id: open-bot, public: true}
  - {id: "*", keys: [ops]}
`
	upstreamKey = "sk-upstream-0123456789"
)

// pythonUUID reads a UUID as Python's UUID does. It returns the usual form, or "".
func pythonUUID(s string) string {
	s = strings.NewReplacer("urn:", "", "uuid:", "").Replace(s)
	s = strings.ToLower(strings.ReplaceAll(strings.Trim(s, "{}"), "-", ""))
	if len(s) != 32 {
		return ""
	}
	// int(s, 16)
	s = strings.ReplaceAll(strings.TrimPrefix(s, "0x"), "_", "")
	if s == "" || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	s = strings.Repeat("0", 32-len(s)) + s
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// langflowRun is what the stand-in responds with: what a flow was run with.
type langflowRun struct {
	Flow, User, Key   string
	Variables, Tweaks map[string]any
}

// langflow is a stand-in for Langflow, written from its documentation and from how its source reads a request. It does
// not try to be safe.
func langflow(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, detail string) { http.Error(w, `{"detail":"`+detail+`"}`, status) }
	path := strings.TrimSuffix(strings.ToLower(r.URL.Path), "/")
	rest, run := strings.CutPrefix(path, "/api/v1/run/")
	_, webhook := strings.CutPrefix(path, "/api/v1/webhook/")
	if !run && !webhook {
		fmt.Fprint(w, `<!doctype html>`)
		return
	}
	id := r.URL.Path[strings.LastIndex(strings.TrimSuffix(r.URL.Path, "/"), "/")+1:]
	did := langflowRun{Flow: strings.TrimSuffix(id, "/"), User: r.URL.Query().Get("user_id"), Variables: map[string]any{}}
	if uuid := pythonUUID(did.Flow); uuid != "" {
		did.Flow = uuid
	}
	did.Key = r.Header.Get("X-Api-Key")
	if q := r.URL.Query().Get("x-api-key"); q != "" {
		did.Key = q
	}
	if did.Key == "" && run {
		refuse(http.StatusForbidden, "An API key must be passed as query or header")
		return
	}
	for name := range r.Header {
		if v, ok := strings.CutPrefix(strings.ToLower(name), "x-langflow-global-var-"); ok {
			did.Variables[v] = r.Header.Get(name)
		}
	}
	raw, _ := io.ReadAll(r.Body)
	type request struct{ Tweaks map[string]any }
	var body struct {
		request
		Nested *request `json:"input_request"`
	}
	_ = json.Unmarshal(raw, &body) // one that cannot be parsed counts as empty
	did.Tweaks = body.Tweaks
	if body.Nested != nil && !strings.HasPrefix(rest, "advanced/") {
		did.Tweaks = body.Nested.Tweaks
	}
	if r.URL.Query().Get("stream") == "true" {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "application/json")
	}
	_ = json.NewEncoder(w).Encode(did)
}

// newLangflowGate starts a gate with the Langflow preset before the stand-in.
func newLangflowGate(t *testing.T, change func(*proxy.Options)) *gate {
	t.Helper()
	return newGate(t, langflow, func(o *proxy.Options) {
		withKeys(t, langflowKeys)(o)
		o.Preset, o.Expose = route.Langflow(), nil
		if change != nil {
			change(o)
		}
	})
}

func withUpstreamKey(t *testing.T) func(*proxy.Options) {
	t.Helper()
	path := testkit.WriteFile(t, "langflow.key", upstreamKey+"\n")
	return func(o *proxy.Options) {
		o.UpstreamAuthorization = keystore.UpstreamAuthorization{Mode: keystore.UpstreamFile, Path: path}
	}
}

func TestLangflow(t *testing.T) {
	t.Parallel()
	const undashed = "3f1c2a9e111142228333444455556666"
	tweaked := strings.ReplaceAll(botTweaked, "-", "")
	all := []string{"run", "advanced", "webhook"}
	for _, tt := range []struct {
		name, request, body string
		key                 string
		expose              []string
		code                problem.Code // empty if it passes
		target              string       // at the upstream; empty if unchanged
	}{
		{"by ID", "POST /api/v1/run/" + botA, `{"input_value":"x"}`, secretA, nil, "", ""},
		{"by endpoint name", "POST /api/v1/run/support-bot", `{}`, secretA, nil, "", ""},
		{"streamed", "POST /api/v1/run/" + botA + "?stream=true", `{}`, secretA, nil, "", ""},
		{"not streamed", "POST /api/v1/run/" + botA + "?stream=false", `{}`, secretA, nil, "", ""},
		{"public", "POST /api/v1/run/open-bot", `{}`, "", nil, "", ""},
		{"advanced", "POST /api/v1/run/advanced/" + botA, `{}`, secretA, all, "", ""},
		{"webhook", "POST /api/v1/webhook/support-bot", `{}`, secretA, all, "", ""},
		{"webhook's query is dropped", "POST /api/v1/webhook/support-bot?x-api-key=sk-1&user_id=u", `{}`, secretA, all, "", "/api/v1/webhook/support-bot"},
		{"advanced's query is dropped", "POST /api/v1/run/advanced/" + botA + "?x-api-key=sk-1", `{}`, secretA, all, "", "/api/v1/run/advanced/" + botA},

		{"no key", "POST /api/v1/run/" + botA, `{}`, "", nil, problem.MissingKey, ""},
		{"wrong key", "POST /api/v1/run/" + botA, `{}`, "nobodys-secret-0123456789", nil, problem.InvalidKey, ""},
		{"another flow's key", "POST /api/v1/run/" + botB, `{}`, secretA, nil, problem.KeyNotForChatflow, ""},
		{"a name that is not listed", "POST /api/v1/run/other-bot", `{}`, secretA, nil, problem.KeyNotForChatflow, ""},
		{"a name in another case", "POST /api/v1/run/Support-Bot", `{}`, secretA, nil, problem.KeyNotForChatflow, ""},
		{"advanced is another group", "POST /api/v1/run/advanced/" + botA, `{}`, secretA, nil, problem.NotExposed, ""},
		{"webhook is another group", "POST /api/v1/webhook/" + botA, `{}`, secretA, nil, problem.NotExposed, ""},
		{"another method", "GET /api/v1/run/" + botA, ``, secretA, nil, problem.MethodNotAllowed, ""},

		{"ID without hyphens", "POST /api/v1/run/" + undashed, `{}`, secretOps, nil, problem.BadChatflowID, ""},
		{"ID in upper case", "POST /api/v1/run/" + strings.ToUpper(botA), `{}`, secretOps, nil, problem.BadChatflowID, ""},
		{"ID with other hyphens", "POST /api/v1/run/" + undashed[:4] + "-" + undashed[4:] + "-", `{}`, secretOps, nil, problem.BadChatflowID, ""},
		{"ID in braces", "POST /api/v1/run/{" + botA + "}", `{}`, secretOps, nil, problem.NotCanonical, ""},
		{"ID as a URN", "POST /api/v1/run/urn:uuid:" + botA, `{}`, secretOps, nil, problem.NotCanonical, ""},
		{"ID as a hexadecimal number", "POST /api/v1/run/0x" + tweaked[2:], `{"tweaks":{"x":1}}`, secretOps, nil, problem.BadChatflowID, ""},
		{"ID as one with hyphens", "POST /api/v1/run/0-X" + botTweaked[2:], `{"tweaks":{"x":1}}`, secretOps, nil, problem.BadChatflowID, ""},
		{"ID as a number with an underscore", "POST /api/v1/run/0_" + tweaked[2:], `{"tweaks":{"x":1}}`, secretOps, nil, problem.BadChatflowID, ""},
		{"a name of the same letters", "POST /api/v1/run/0x_deaf_beef", `{}`, secretOps, nil, "", ""},
		{"a name with a dot", "POST /api/v1/run/support.bot", `{}`, secretOps, nil, problem.BadChatflowID, ""},

		{"key in the query", "POST /api/v1/run/" + botA + "?x-api-key=sk-1", `{}`, secretA, nil, problem.BadRequest, ""},
		{"key in the query, encoded", "POST /api/v1/run/" + botA + "?x%2dapi-key=sk-1", `{}`, secretA, nil, problem.BadRequest, ""},
		{"key in the query after stream", "POST /api/v1/run/" + botA + "?stream=true&x-api-key=sk-1", `{}`, secretA, nil, problem.BadRequest, ""},
		{"key in the value of stream", "POST /api/v1/run/" + botA + "?stream=true%26x-api-key=sk-1", `{}`, secretA, nil, problem.BadRequest, ""},
		{"stream twice", "POST /api/v1/run/" + botA + "?stream=true&stream=false", `{}`, secretA, nil, problem.BadRequest, ""},
		{"another user's flows", "POST /api/v1/run/support-bot?user_id=" + botB, `{}`, secretA, nil, problem.BadRequest, ""},

		{"tweaks", "POST /api/v1/run/" + botA, `{"tweaks":{"x":1}}`, secretA, nil, "", ""},
		{"tweaks denied", "POST /api/v1/run/" + botTweaked, `{"tweaks":{"x":1}}`, secretA, nil, problem.FieldNotAllowed, ""},
		{"tweaks denied, in another case", "POST /api/v1/run/" + botTweaked, `{"Tweaks":{"x":1}}`, secretA, nil, problem.FieldNotAllowed, ""},
		{"tweaks denied, nested", "POST /api/v1/run/" + botTweaked, `{"input_request":{"tweaks":{"x":1}}}`, secretA, nil, problem.FieldNotAllowed, ""},
		{"tweaks denied, advanced", "POST /api/v1/run/advanced/" + botTweaked, `{"tweaks":{"x":1}}`, secretA, all, problem.FieldNotAllowed, ""},
		{"tweaks denied, key for all", "POST /api/v1/run/" + botTweaked, `{"tweaks":{"x":1}}`, secretOps, nil, problem.FieldNotAllowed, ""},
		{"without tweaks", "POST /api/v1/run/" + botTweaked, `{"input_value":"tweaks"}`, secretA, nil, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newLangflowGate(t, func(o *proxy.Options) {
				withUpstreamKey(t)(o)
				o.Expose = tt.expose
			})
			headers := []string{jsonType, "X-Api-Key: sk-of-the-client", "X-LANGFLOW-GLOBAL-VAR-TOKEN: evil"}
			if tt.key != "" {
				headers = append(headers, bearerOf(tt.key))
			}
			method, target, _ := strings.Cut(tt.request, " ")
			res := g.request(t, method, target, tt.body, headers...)
			r, _, n := g.upstream.last()
			if tt.code != "" {
				if res.problem.Code != string(tt.code) || n != 0 {
					t.Errorf("response = %d %s, %d requests reached the upstream; want %s, none", res.status, res.body, n, tt.code)
				}
				return
			}
			if res.status != 200 || n != 1 {
				t.Fatalf("response = %d %s, %d requests reached the upstream; want 200, 1", res.status, res.body, n)
			}
			if tt.target == "" {
				tt.target = target
			}
			if r.RequestURI != tt.target {
				t.Errorf("target at the upstream = %q, want %q", r.RequestURI, tt.target)
			}
			var did langflowRun
			if err := json.Unmarshal([]byte(res.body), &did); err != nil {
				t.Fatal(err)
			}
			if did.Key != upstreamKey || did.User != "" || len(did.Variables) != 0 || r.Header.Get("Authorization") != "" {
				t.Errorf("Langflow ran %+v with Authorization %q, want key %q alone", did, r.Header.Get("Authorization"), upstreamKey)
			}
			if streamed := strings.Contains(target, "stream=true"); streamed != strings.HasPrefix(res.header.Get("Content-Type"), "text/event-stream") {
				t.Errorf("Content-Type = %q, want an event stream: %t", res.header.Get("Content-Type"), streamed)
			}
		})
	}
}

// TestLangflowCredential sends a credential to Langflow in each way that there is.
func TestLangflowCredential(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "langflow.key", "sk-first-0123456789\n")
	now := time.Now()
	g := newLangflowGate(t, func(o *proxy.Options) {
		withKeys(t, strings.Replace(langflowKeys, "id: support-bot,", "id: support-bot, upstream_authorization: forward,", 1))(o)
		o.UpstreamAuthorization = keystore.UpstreamAuthorization{Mode: keystore.UpstreamFile, Path: path}
		o.Now = func() time.Time { return now }
	})
	sent := func(flow string, headers ...string) []string {
		t.Helper()
		if res := g.request(t, "POST", "/api/v1/run/"+flow, "{}", append(headers, bearerOf(secretA), jsonType)...); res.status != 200 {
			t.Fatalf("response = %d %s, want 200", res.status, res.body)
		}
		r, _, _ := g.upstream.last()
		return append(r.Header["X-Api-Key"], r.Header["Authorization"]...)
	}
	want := func(what string, got []string, want string) {
		t.Helper()
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: credentials at the upstream = %q, want x-api-key %q alone", what, got, want)
		}
	}
	want("file", sent(botA), "sk-first-0123456789")
	want("file, with x-api-key of the client", sent(botA, "x-api-key: evil", "X_Api_Key: evil", "X-API-KEY: evil"), "sk-first-0123456789")
	want("file, with Connection: x-api-key", sent(botA, "Connection: x-api-key"), "sk-first-0123456789")
	want("forward", sent("support-bot", "x-api-key: evil"), secretA)
	testkit.ReplaceFile(t, path, "sk-second-0123456789")
	now = now.Add(3 * time.Second)
	want("changed file", sent(botA), "sk-second-0123456789")
	testkit.ReplaceFile(t, path, "Bearer sk-third-0123456789")
	now = now.Add(3 * time.Second)
	want("file with a scheme, which x-api-key cannot hold", sent(botA), "sk-second-0123456789")
	testkit.Eventually(t, "log line about the file", func() bool {
		now = now.Add(3 * time.Second)
		want("the last good file", sent(botA), "sk-second-0123456789")
		return strings.Contains(g.log.String(), "must hold a token and nothing else")
	})

	none := newLangflowGate(t, nil)
	if res := none.request(t, "POST", "/api/v1/run/"+botA, "{}", bearerOf(secretA), "x-api-key: sk-of-the-client", jsonType); res.status != 403 || res.problem.Code != "" {
		t.Errorf("response without a credential = %d %s, want Langflow's own 403", res.status, res.body)
	}
}
