package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// managedNames are the headers that a caller has no say in.
var managedNames = []string{
	"Authorization", "Cookie", "Cookie2", "Proxy-Authorization",
	"X-Request-From", "Flowise-Tool", "X-Flowise-Evaluation",
	"Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP", "Via",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Uri",
	"X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-Server", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Client-Cert",
	"X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Original-Host", "X-Rewrite-URL",
	"X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override",
	"X-Request-Id", "HTTP2-Settings", "Keep-Alive", "Proxy-Connection",
}

// spoofed are all managed names, as a caller would send them who wants to be believed.
func spoofed(value string) (headers []string) {
	for _, name := range managedNames {
		if name != "Authorization" { // a second one is refused: see TestAuthorizationHeader
			headers = append(headers, name+": "+value)
		}
	}
	return headers
}

// TestManagedNames sends every managed name in every spelling that some server takes for it. The
// runner must get none, and what is nobody else's business untouched.
func TestManagedNames(t *testing.T) {
	const evil = "evil-value"
	respell := func(sep string) func(string) string {
		return func(name string) string { return strings.ReplaceAll(name, "-", sep) }
	}
	spellings := map[string]func(string) string{
		"as it is":       strings.Clone,
		"lower case":     strings.ToLower,
		"upper case":     strings.ToUpper,
		"sign before":    func(name string) string { return "_" + name },
		"sign after":     func(name string) string { return name + "_" },
		"sign in a word": func(name string) string { return name[:2] + "_" + name[2:] },
	}
	for _, sep := range strings.Split("_ . ! # $ % & ' * + ^ ` | ~ -_ __ _-", " ") {
		spellings["with "+sep] = respell(sep)
	}
	g := newGate(t, nil, nil)
	for name, spell := range spellings {
		t.Run(name, func(t *testing.T) {
			headers := []string{bearerOf(secretA), jsonType, "User-Agent: test/1", "X-Custom: kept"}
			for _, managed := range managedNames {
				if s := spell(managed); !strings.EqualFold(s, "Authorization") {
					headers = append(headers, s+": "+evil)
				}
			}
			a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", headers...)
			r, _, _ := g.runner.last()
			if a.status != 200 {
				t.Fatalf("answer = %d %s, want 200", a.status, a.body)
			}
			want := http.Header{
				"Content-Type": {"application/json"}, "Content-Length": {"2"}, "User-Agent": {"test/1"}, "X-Custom": {"kept"},
				"X-Forwarded-For": {"127.0.0.1"}, "X-Request-Id": {a.header.Get("X-Request-Id")},
			}
			if diff := cmp.Diff(want, r.Header); diff != "" {
				t.Errorf("headers at the runner (-want +got):\n%s", diff)
			}
		})
	}
}

// TestManagedNamesOnEveryWayIn spoofs on each way through the gate, those without a key included:
// where the gate has nothing to say about who calls, nobody else may say it.
func TestManagedNamesOnEveryWayIn(t *testing.T) {
	preflight := []string{"Origin: https://site.example", "Access-Control-Request-Method: POST"}
	for _, tt := range []struct {
		name, method, target, body string
		headers                    []string
	}{
		{"key", "POST", "/api/v1/prediction/" + botA, "{}", []string{bearerOf(secretA)}},
		{"chatflow in the body", "POST", "/api/v1/leads", `{"chatflowid":"` + botA + `"}`, []string{bearerOf(secretA)}},
		{"chatflow in the query", "GET", "/api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c&fileName=f", "", []string{bearerOf(secretA)}},
		{"any key", "PUT", "/api/v1/feedback/f-1", "{}", []string{bearerOf(secretA)}},
		{"any method", "PATCH", "/api/v1/webhook/" + botA, "{}", []string{bearerOf(secretA)}},
		{"public chatflow", "POST", "/api/v1/prediction/" + botPublic, "{}", nil},
		{"public chatflow, with a key that is none", "POST", "/api/v1/prediction/" + botPublic, "{}", []string{"Authorization: Bearer evil-value-0123456789"}},
		{"public chatflow, with another scheme", "POST", "/api/v1/prediction/" + botPublic, "{}", []string{"Authorization: Basic evil-value"}},
		{"discovery", "GET", "/api/v1/chatflows-streaming/" + botA, "", nil},
		{"discovery with a key that is none", "GET", "/api/v1/chatflows-streaming/" + botA, "", []string{"Authorization: Bearer evil-value-0123456789"}},
		{"public route", "GET", "/api/v1/ping", "", []string{"Authorization: Bearer evil-value-0123456789"}},
		{"preflight", "OPTIONS", "/api/v1/prediction/" + botA, "", preflight},
		{"preflight with a key", "OPTIONS", "/api/v1/prediction/" + botA, "", append(preflight, bearerOf(secretA))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, withKeys(t, keyFile+publicEntry))
			headers := append(spoofed("evil-value"), tt.headers...)
			if tt.body != "" {
				headers = append(headers, jsonType)
			}
			a := g.request(t, tt.method, tt.target, tt.body, headers...)
			if a.status != 200 {
				t.Fatalf("answer = %d %s, want 200", a.status, a.body)
			}
			r, _, _ := g.runner.last()
			if got := r.Header["X-Request-Id"]; len(got) != 1 || got[0] != a.header.Get("X-Request-Id") {
				t.Errorf("X-Request-Id at the runner = %q, want %q", got, a.header.Get("X-Request-Id"))
			}
			if got := r.Header["X-Forwarded-For"]; len(got) != 1 || got[0] != "127.0.0.1" {
				t.Errorf("X-Forwarded-For at the runner = %q, want 127.0.0.1", got)
			}
			for name, values := range r.Header {
				if strings.Contains(strings.Join(values, " "), "evil") {
					t.Errorf("%s at the runner = %q, want none", name, values)
				}
			}
			if got, ok := r.Header["Authorization"]; ok {
				t.Errorf("Authorization at the runner = %q, want none", got)
			}
		})
	}
}

// TestTrailers announces managed names as trailers and sends them, on a route whose body is streamed
// and on one whose body the gate reads. Of the bytes that reach the runner, none may be a trailer's.
func TestTrailers(t *testing.T) {
	for _, tt := range []struct{ name, announced string }{
		{"announced", "X-Request-From, Authorization, X-Forwarded-For, X_Request_From, X-Benign"},
		{"not announced", ""},
	} {
		for target, body := range map[string]string{
			"/api/v1/prediction/" + botA: `{"question":"hi"}`,
			"/api/v1/leads":              `{"chatflowid":"` + botA + `"}`,
		} {
			t.Run(tt.name+" "+target, func(t *testing.T) {
				runner := newRawRunner(t)
				g := newGate(t, nil, runner.upstream(t))
				trailer := "Trailer: " + tt.announced
				if tt.announced == "" {
					trailer = "X-Filler: x"
				}
				a := g.request(t, "POST", target, "", bearerOf(secretA), jsonType, trailer, "TE: trailers", "Transfer-Encoding: chunked", "",
					fmt.Sprintf("%x\r\n%s\r\n0\r\nX-Request-From: internal\r\nAuthorization: evil\r\nX-Forwarded-For: evil\r\nX_Request_From: evil\r\nX-Benign: evil", len(body), body), "")
				if a.status != 200 {
					t.Fatalf("answer = %d %s, want 200", a.status, a.body)
				}
				requests := runner.seen(t)
				if len(requests) != 1 || requests[0].body != body || requests[0].fault != "" {
					t.Fatalf("at the runner = %+v, want one request with body %s", requests, body)
				}
				if raw := requests[0].head + requests[0].rest; strings.Contains(raw, "Trailer:") || strings.Contains(raw, "evil") || strings.Contains(raw, "internal") {
					t.Errorf("bytes at the runner = %q, want no trailer in them", raw)
				}
			})
		}
	}
}

// TestConnectionCannotRemove has a caller list in Connection what the gate sets, which a proxy that
// strips these headers too late would take away from the runner.
func TestConnectionCannotRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(path, []byte("runner-credential-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := "Authorization, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Request-Id, Host, Content-Length, Transfer-Encoding, X-Keep"
	for name, connection := range map[string][]string{
		"in one header":      {"Connection: " + list},
		"in lower case":      {"Connection: " + strings.ToLower(list)},
		"in several headers": {"Connection: Authorization", "connection: X-Forwarded-For, Host", "Connection: ,, x-request-id,Content-Length"},
		"with keep-alive":    {"Connection: keep-alive, " + list},
		"as Proxy":           {"Proxy-Connection: " + list},
	} {
		for setting, want := range map[string]string{"forward": "Bearer " + secretA, "file:" + path: "Bearer runner-credential-1", "remove": ""} {
			t.Run(name+" "+strings.Split(setting, ":")[0], func(t *testing.T) {
				g := newGate(t, nil, func(o *proxy.Options) {
					var err error
					if o.UpstreamAuthorization, err = keystore.ParseUpstreamAuthorization(setting); err != nil {
						t.Fatal(err)
					}
					o.PublicURL = mustURL(t, "https://flows.example")
				})
				a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", append(connection, bearerOf(secretA), jsonType, "X-Keep: 1")...)
				r, body, n := g.runner.last()
				if a.status != 200 || n != 1 || body != "{}" || r.Host != "flows.example" {
					t.Fatalf("answer = %d, at the runner %d requests, body %q, Host %q; want 200, 1, {} and flows.example", a.status, n, body, r.Host)
				}
				for name, want := range map[string]string{
					"Authorization": want, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "flows.example", "X-Forwarded-Proto": "https",
					"X-Request-Id": a.header.Get("X-Request-Id"), "Connection": "",
				} {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s at the runner = %q, want %q", name, got, want)
					}
				}
			})
		}
	}
}

// TestUpgrades asks for other protocols than the one that a route may switch to. None is offered to
// the runner, which therefore answers what it is.
func TestUpgrades(t *testing.T) {
	routes := func(o *proxy.Options) {
		o.Routes = []*route.Route{
			{Group: "run", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true},
			{Group: "run", Methods: []string{"GET"}, Path: "/plain/{chatflow}"},
		}
		o.Expose = []string{"run"}
	}
	for name, upgrade := range map[string][]string{
		"h2c":                 {"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"},
		"h2c in upper case":   {"Upgrade: H2C", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: upgrade, http2-settings"},
		"h2c, not announced":  {"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		"only the settings":   {"HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: HTTP2-Settings"},
		"websocket and h2c":   {"Upgrade: websocket, h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"},
		"h2c and websocket":   {"Upgrade: h2c, websocket", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"},
		"in two headers":      {"Upgrade: websocket", "Upgrade: h2c", "Connection: Upgrade"},
		"TLS":                 {"Upgrade: TLS/1.0", "Connection: Upgrade"},
		"TLS and HTTP":        {"Upgrade: TLS/1.2, HTTP/1.1", "Connection: Upgrade"},
		"HTTP/2.0":            {"Upgrade: HTTP/2.0", "Connection: Upgrade"},
		"websocket, version":  {"Upgrade: websocket/13", "Connection: Upgrade"},
		"connect-udp":         {"Upgrade: connect-udp", "Connection: Upgrade", "Capsule-Protocol: ?1"},
		"name with underline": {"Http2_Settings: AAMAAABkAAQAAP__", "Connection: Upgrade"},
	} {
		for _, path := range []string{"/ws/", "/plain/"} {
			t.Run(name+" "+path, func(t *testing.T) {
				runner := newRawRunner(t)
				g := newGate(t, nil, func(o *proxy.Options) { routes(o); runner.upstream(t)(o) })
				a := g.request(t, "GET", path+botA, "", append(upgrade, bearerOf(secretA))...)
				requests := runner.seen(t)
				if a.status != 200 || len(requests) != 1 {
					t.Fatalf("answer = %d, %d requests at the runner; want 200, 1", a.status, len(requests))
				}
				head := strings.ToLower(requests[0].head)
				for _, word := range []string{"upgrade", "http2", "connection", "h2c", "aamaaa", "tls"} {
					if strings.Contains(head, word) {
						t.Errorf("head at the runner = %q, want no %q in it", head, word)
					}
				}
			})
		}
	}
}

// TestAuthorizationHeader has the forms of the header that RFC 6750 and RFC 9110 allow, and those that
// a lenient reader would take for them. Flowise itself takes whatever follows the last "Bearer ".
func TestAuthorizationHeader(t *testing.T) {
	const authorization = "Authorization: "
	digest := keystore.DigestOf(secretA).String()
	for _, tt := range []struct {
		name    string
		headers []string
		status  int
		code    problem.Code
	}{
		{"as it should be", []string{bearerOf(secretA)}, 200, ""},
		{"scheme in lower case", []string{authorization + "bearer " + secretA}, 200, ""},
		{"scheme in upper case", []string{authorization + "BEARER " + secretA}, 200, ""},
		{"name in lower case", []string{"authorization: Bearer " + secretA}, 200, ""},
		{"two spaces", []string{authorization + "Bearer  " + secretA}, 200, ""}, // 1*SP
		{"spaces around", []string{"Authorization: \t Bearer " + secretA + " \t "}, 200, ""},

		{"tab after the scheme", []string{authorization + "Bearer\t" + secretA}, 401, problem.MissingKey},
		{"no scheme", []string{authorization + secretA}, 401, problem.MissingKey},
		{"no space", []string{authorization + "Bearer" + secretA}, 401, problem.MissingKey},
		{"colon", []string{authorization + "Bearer: " + secretA}, 401, problem.MissingKey},
		{"scheme with a tail", []string{authorization + "BearerX " + secretA}, 401, problem.MissingKey},
		{"Basic", []string{authorization + "Basic " + secretA}, 401, problem.MissingKey},
		{"Basic before Bearer", []string{authorization + "Basic x Bearer " + secretA}, 401, problem.MissingKey},
		{"Basic, Bearer", []string{authorization + "Basic x, Bearer " + secretA}, 401, problem.MissingKey},
		{"Token", []string{authorization + "Token " + secretA}, 401, problem.MissingKey},
		{"empty header", []string{authorization}, 401, problem.MissingKey},

		{"scheme alone", []string{authorization + "Bearer"}, 401, problem.InvalidKey},
		{"spaces for a token", []string{authorization + "Bearer   "}, 401, problem.InvalidKey},
		{"two tokens", []string{authorization + "Bearer a " + secretA}, 401, problem.InvalidKey},
		{"list of Bearers", []string{authorization + "Bearer a, Bearer " + secretA}, 401, problem.InvalidKey},
		{"list of Bearers, the right one first", []string{authorization + "Bearer " + secretA + ", Bearer a"}, 401, problem.InvalidKey},
		{"Bearer twice", []string{authorization + "Bearer Bearer " + secretA}, 401, problem.InvalidKey},
		{"comma after", []string{authorization + "Bearer " + secretA + ","}, 401, problem.InvalidKey},
		{"parameter after", []string{authorization + "Bearer " + secretA + `; realm="x"`}, 401, problem.InvalidKey},
		{"quoted", []string{authorization + `Bearer "` + secretA + `"`}, 401, problem.InvalidKey},
		{"encoded", []string{authorization + "Bearer " + percent(secretA)}, 401, problem.InvalidKey},
		{"padded", []string{authorization + "Bearer " + secretA + "="}, 401, problem.InvalidKey},
		{"in upper case", []string{authorization + "Bearer " + strings.ToUpper(secretA)}, 401, problem.InvalidKey},
		{"cut", []string{authorization + "Bearer " + secretA[:len(secretA)-1]}, 401, problem.InvalidKey},
		{"longer", []string{authorization + "Bearer " + secretA + "0"}, 401, problem.InvalidKey},
		{"its digest", []string{authorization + "Bearer " + digest}, 401, problem.InvalidKey},
		{"its ID", []string{authorization + "Bearer key-a"}, 401, problem.InvalidKey},
		{"tab in the token", []string{authorization + "Bearer " + secretA + "\tx"}, 401, problem.InvalidKey},
		{"not ASCII", []string{authorization + "Bearer \u00e4" + secretA}, 401, problem.InvalidKey},
		{"not UTF-8", []string{authorization + "Bearer " + secretA + "\xff"}, 401, problem.InvalidKey},
		{"no-break space after", []string{authorization + "Bearer " + secretA + "\u00a0"}, 401, problem.InvalidKey},
		{"no-break space for a space", []string{authorization + "Bearer\u00a0" + secretA}, 401, problem.MissingKey},
		{"8 KiB", []string{authorization + "Bearer " + strings.Repeat("a", 8<<10)}, 401, problem.InvalidKey},
		{"8 KiB before the right one", []string{authorization + "Bearer" + strings.Repeat(" ", 8<<10) + secretA}, 200, ""},

		{"twice", []string{bearerOf(secretA), bearerOf(secretA)}, 400, problem.BadRequest},
		{"twice, another first", []string{authorization + "Bearer other-key-0123456789", bearerOf(secretA)}, 400, problem.BadRequest},
		{"twice, another scheme first", []string{authorization + "Basic x", bearerOf(secretA)}, 400, problem.BadRequest},
		{"twice, empty first", []string{authorization, bearerOf(secretA)}, 400, problem.BadRequest},
		{"twice, in another case", []string{"AUTHORIZATION: Bearer " + secretA, "authorization: Bearer " + secretA}, 400, problem.BadRequest},

		{"with an underline", []string{"_Authorization: Bearer " + secretA}, 401, problem.MissingKey},
		{"under another name", []string{"Proxy-Authorization: Bearer " + secretA, "X-Authorization: Bearer " + secretA, "X-Api-Key: " + secretA}, 401, problem.MissingKey},
		{"in a cookie", []string{"Cookie: Authorization=Bearer " + secretA + "; token=" + secretA}, 401, problem.MissingKey},

		{"NUL in the token", []string{authorization + "Bearer " + secretA + "\x00"}, 400, ownAnswer},
		{"carriage return in the token", []string{authorization + "Bearer " + secretA + "\rx"}, 400, ownAnswer},
		{"space before the colon", []string{"Authorization : Bearer " + secretA}, 400, ownAnswer},
		{"tab before the colon", []string{"Authorization\t: Bearer " + secretA}, 400, ownAnswer},
		{"name that is no token", []string{"Authorization\u00e4: Bearer " + secretA}, 400, ownAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, nil)
			a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", append(tt.headers, jsonType)...)
			r, _, n := g.runner.last()
			switch {
			case tt.status == 200:
				if a.status != 200 || n != 1 || r.Header.Get("Authorization") != "" {
					t.Errorf("answer = %d, %d requests at the runner; want 200, 1 without Authorization", a.status, n)
				}
				return
			case tt.code == ownAnswer:
				if a.status != 400 || a.problem.Code != "" {
					t.Errorf("answer = %d %s, want 400 of net/http", a.status, a.body)
				}
			default:
				checkProblem(t, a, tt.status, tt.code)
				challenge := a.header.Get("Www-Authenticate")
				word := map[problem.Code]string{problem.InvalidKey: "invalid_token", problem.BadRequest: "invalid_request"}[tt.code]
				if !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, word) || word == "" && strings.Contains(challenge, "error") {
					t.Errorf("WWW-Authenticate = %q, want Bearer with error %q", challenge, word)
				}
			}
			if n := g.runner.connections.Load(); n != 0 {
				t.Errorf("connections to the runner = %d, want 0", n)
			}
		})
	}
}

// TestKeyElsewhere brings a key in other places than the header: it counts for nothing there, and a
// key in the header with another in the query is that of the header.
func TestKeyElsewhere(t *testing.T) {
	g := newGate(t, nil, nil)
	for _, query := range []string{"access_token=", "apiKey=", "api_key=", "key=", "token=", "Authorization=Bearer%20"} {
		a := g.request(t, "POST", "/api/v1/prediction/"+botA+"?"+query+secretA, "{}", jsonType)
		checkProblem(t, a, 401, problem.MissingKey)
	}
	a := g.request(t, "POST", "/api/v1/prediction/"+botA, "access_token="+secretA, "Content-Type: application/x-www-form-urlencoded")
	checkProblem(t, a, 401, problem.MissingKey)
	a = g.request(t, "POST", "/api/v1/prediction/"+botA+"?access_token="+secretA, "{}", jsonType, bearerOf(secretB))
	checkProblem(t, a, 403, problem.KeyNotForChatflow)
	if n := g.runner.connections.Load(); n != 0 {
		t.Errorf("connections to the runner = %d, want 0", n)
	}
	a = g.request(t, "POST", "/api/v1/prediction/"+botA+"?access_token=x", "{}", jsonType, bearerOf(secretA))
	if r, _, _ := g.runner.last(); a.status != 200 || strings.Contains(r.RequestURI, "?") {
		t.Errorf("answer = %d, at the runner %q; want 200 and no query", a.status, r.RequestURI)
	}
}

// TestHost has hosts that could lead elsewhere, or that Go's server refuses itself.
func TestHost(t *testing.T) {
	request := func(t *testing.T, g *gate, key string, hosts ...string) *answer {
		t.Helper()
		head := "POST /api/v1/prediction/" + botA + " HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n" + jsonType + "\r\n"
		for _, h := range append(hosts, key) {
			if h != "" {
				head += h + "\r\n"
			}
		}
		return g.raw(t, head+"\r\n{}")
	}
	for name, tt := range map[string]struct {
		hosts  []string
		status int // with a key
	}{
		"another":          {[]string{"Host: evil.example"}, 200},
		"with a port":      {[]string{"Host: evil.example:443"}, 200},
		"the runner's own": {[]string{"Host: 127.0.0.1:3000"}, 200},
		"empty":            {[]string{"Host:"}, 200},
		"with a user":      {[]string{"Host: a@evil.example"}, 400},
		"none":             {nil, 400},
		"two":              {[]string{"Host: gate", "Host: evil.example"}, 400},
		"two alike":        {[]string{"Host: gate", "Host: gate"}, 400},
		"with a path":      {[]string{"Host: evil.example/api/v1/ping"}, 400},
		"with a query":     {[]string{"Host: evil.example?x"}, 400},
		"with a fragment":  {[]string{"Host: evil.example#x"}, 400},
		"with a backslash": {[]string{`Host: evil.example\x`}, 400},
		"with a space":     {[]string{"Host: evil.example x"}, 400},
		"with a NUL":       {[]string{"Host: evil.example\x00"}, 400},
		"not ASCII":        {[]string{"Host: \u00e4.example"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, nil, nil)
			without := request(t, g, "", tt.hosts...)
			if want := map[int]int{200: 401, 400: 400}[tt.status]; without.status != want || g.runner.connections.Load() != 0 {
				t.Errorf("answer without a key = %d, %d connections to the runner; want %d and none", without.status, g.runner.connections.Load(), want)
			}
			a := request(t, g, bearerOf(secretA), tt.hosts...)
			r, _, n := g.runner.last()
			if tt.status == 400 {
				if a.status != 400 || n != 0 || strings.Contains(a.head()+a.body, "evil") {
					t.Errorf("answer = %d %s, %d requests at the runner; want 400, none, and no word of what was sent", a.status, a.body, n)
				}
				return
			}
			if a.status != 200 || n != 1 {
				t.Fatalf("answer = %d %s, %d requests at the runner; want 200, 1", a.status, a.body, n)
			}
			if r.Host != strings.TrimPrefix(g.runner.URL, "http://") {
				t.Errorf("Host at the runner = %q, want its own", r.Host)
			}
			if strings.Contains(a.head()+a.body, "evil") {
				t.Errorf("the answer repeats the host: %s%s", a.head(), a.body)
			}
		})
	}
}

// TestRouteIsOnlyInTheRequestLine sends headers by which other gates were told about another request
// than the one they decided upon.
func TestRouteIsOnlyInTheRequestLine(t *testing.T) {
	for _, name := range []string{
		"X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-URI", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Auth-Request-Redirect",
	} {
		for _, value := range []string{"/api/v1/ping", "/api/v1/prediction/" + botPublic, "/api/v1/prediction/" + botB} {
			t.Run(name+" "+value, func(t *testing.T) {
				g := newGate(t, nil, withKeys(t, keyFile+publicEntry))
				a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", jsonType, name+": "+value, "X-Forwarded-Method: GET")
				checkProblem(t, a, 401, problem.MissingKey)
				a = g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", jsonType, name+": "+value, bearerOf(secretA))
				if r, _, n := g.runner.last(); a.status != 200 || n != 1 || r.Method+" "+r.RequestURI != "POST /api/v1/prediction/"+botA {
					t.Errorf("answer = %d, at the runner %d requests, the last %v; want 200 and the one of the request line", a.status, n, r)
				}
			})
		}
	}
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Forwarded-Method"} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, nil, nil)
			a := g.request(t, "GET", "/api/v1/prediction/"+botA, "", bearerOf(secretA), name+": POST")
			checkProblem(t, a, 405, problem.MethodNotAllowed)
			a = g.request(t, "POST", "/api/v1/webhook/"+botA, "{}", jsonType, bearerOf(secretA), name+": DELETE")
			if r, _, _ := g.runner.last(); a.status != 200 || r.Method != "POST" || r.Header.Get(name) != "" {
				t.Errorf("answer = %d, at the runner %s with %s %q; want 200, POST and none", a.status, r.Method, name, r.Header.Get(name))
			}
		})
	}
}

// TestNobodyIsLetInByName sends what gates elsewhere took for a health check, an inner call or a friend.
func TestNobodyIsLetInByName(t *testing.T) {
	for _, header := range []string{
		"User-Agent: kube-probe/1.33", "User-Agent: GoogleHC/1.0", "User-Agent: ELB-HealthChecker/2.0", "User-Agent: Flowise",
		"X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Forwarded-Host: localhost", "Origin: http://localhost:3000",
		"Referer: http://localhost:3000/", "X-Request-From: internal", "Flowise-Tool: true", "X-Flowise-Evaluation: true", "Sec-Fetch-Site: same-origin",
		"Access-Control-Request-Method: POST", "X-Forwarded-User: admin", "X-Remote-User: admin", "Remote-User: admin", "X-Consumer-Username: admin",
		"X-Gateway-Key-Id: key-a", "X-Flowlatch-Key: key-a", "Cookie: connect.sid=1; token=1",
	} {
		t.Run(header, func(t *testing.T) {
			g := newGate(t, nil, nil)
			a := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", jsonType, header)
			checkProblem(t, a, 401, problem.MissingKey)
			if n := g.runner.connections.Load(); n != 0 {
				t.Errorf("connections to the runner = %d, want 0", n)
			}
		})
	}
}

// TestOtherHeadersPass sees headers that are between the caller and the runner come through as they
// are, both ways.
func TestOtherHeadersPass(t *testing.T) {
	g := newGate(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h := w.Header()
		h.Set("Content-Range", "bytes 0-3/10")
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Etag", `"v1"`)
		h.Set("Content-Disposition", `attachment; filename="a.txt"`)
		h["X-List"] = []string{"a", "b"}
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "part")
	}, nil)
	caller := []string{
		"Range: bytes=0-3", `If-Range: "v1"`, `If-None-Match: "v0"`, "Accept: text/plain", "Accept: */*;q=0.1", "Accept-Language: de", "Accept-Encoding: gzip;q=0",
		"Origin: https://site.example", "Referer: https://site.example/", "Traceparent: " + traceparent, "Tracestate: a=b", "X-Webhook-Signature: sha256=00", "Cache-Control: no-cache", "X-1: ",
	}
	a := g.request(t, "GET", "/api/v1/get-upload-file?chatflowId="+botA+"&chatId=c&fileName=f", "", append(caller, bearerOf(secretA))...)
	r, _, _ := g.runner.last()
	want := http.Header{
		"Range": {"bytes=0-3"}, "If-Range": {`"v1"`}, "If-None-Match": {`"v0"`}, "Accept": {"text/plain", "*/*;q=0.1"}, "Accept-Language": {"de"},
		"Accept-Encoding": {"gzip;q=0"}, "Origin": {"https://site.example"}, "Referer": {"https://site.example/"}, "Traceparent": {traceparent}, "Tracestate": {"a=b"},
		"X-Webhook-Signature": {"sha256=00"}, "Cache-Control": {"no-cache"}, "X-1": {""},
		"X-Forwarded-For": {"127.0.0.1"}, "X-Request-Id": {a.header.Get("X-Request-Id")},
	}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		t.Errorf("headers at the runner (-want +got):\n%s", diff)
	}
	for _, name := range []string{"Date", "X-Request-Id"} {
		a.header.Del(name)
	}
	wantBack := http.Header{
		"Content-Range": {"bytes 0-3/10"}, "Etag": {`"v1"`}, "Content-Disposition": {`attachment; filename="a.txt"`}, "X-List": {"a", "b"}, "Content-Length": {"4"},
		"Content-Type": {"text/plain; charset=utf-8"},
	}
	if diff := cmp.Diff(wantBack, a.header); diff != "" || a.status != 206 || a.body != "part" {
		t.Errorf("answer = %d %q, want 206 and the part; headers (-want +got):\n%s", a.status, a.body, diff)
	}
}
