package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
)

// TestHeaders sends a request with headers of all kinds.
func TestHeaders(t *testing.T) {
	t.Parallel()
	client := []string{
		bearerOf(secretA), "Cookie: session=1", "x-request-from: internal", "X_Request_From: internal", "X.Request.From: internal",
		"Flowise-Tool: true", "X-Flowise-Evaluation: 1", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: evil", "X-Forwarded-Proto: https",
		"X-Forwarded-Prefix: /x", "X_Forwarded_For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Original-URL: /admin",
		"X-HTTP-Method-Override: DELETE", "Proxy-Authorization: Basic x", "TE: trailers", "X-Request-ID: evil-evil-evil",
		"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings, Authorization, X-Request-Id, X-Keep",
		"Keep-Alive: timeout=5", "X-Drop: 1", "Connection: x-drop",
		"Accept: text/event-stream", "Origin: https://site.example", "Accept-Encoding: br", "User-Agent: test/1", "Traceparent: " + traceparent, "Connection: traceparent",
	}
	g := newGate(t, nil, func(o *proxy.Options) { o.PublicURL = mustURL(t, "https://flows.example") })
	res := g.request(t, "POST", "/api/v1/prediction/"+botA, `{}`, append(client, jsonType)...)
	if res.status != 200 {
		t.Fatalf("response = %d %s", res.status, res.body)
	}
	r, _, _ := g.upstream.last()
	want := http.Header{
		"Accept": {"text/event-stream"}, "Origin": {"https://site.example"}, "Accept-Encoding": {"br"}, "User-Agent": {"test/1"},
		"Traceparent": {traceparent}, "Content-Type": {"application/json"}, "Content-Length": {"2"},
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"flows.example"}, "X-Forwarded-Proto": {"https"},
		"X-Request-Id": {res.header.Get("X-Request-Id")},
	}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		t.Errorf("headers at the upstream (-want +got):\n%s", diff)
	}
	if r.Host != "flows.example" {
		t.Errorf("Host at the upstream = %q, want flows.example", r.Host)
	}
}

// managedNames are headers that the gate sets itself, or never passes on.
var managedNames = []string{
	"Authorization", "Cookie", "Cookie2", "Proxy-Authorization",
	"X-Request-From", "Flowise-Tool", "X-Flowise-Evaluation",
	"Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP", "Via",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Uri",
	"X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-Server", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Client-Cert",
	"X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Original-Host", "X-Rewrite-URL",
	"X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override",
	"X-Request-Id", "HTTP2-Settings", "Keep-Alive", "Proxy-Connection",
	"X-Flowlatch-Key-Id", "X-Flowlatch-Chatflow", "X-Flowlatch-Anything",
	"X-Forwarded", "Forwarded-For", "X-Forward-For", "Client-IP", "X-ProxyUser-IP", "X-Envoy-External-Address", "X-Envoy-Peer-Metadata",
	"Fly-Client-IP", "Fastly-Client-IP", "X-Appengine-User-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Vercel-Forwarded-For",
	"CF-Connecting-IPv6", "CF-Pseudo-IPv4", "X-Remote-IP", "X-Remote-Addr", "X-Originating-IP", "WL-Proxy-Client-IP",
	"X-Host", "X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-Host-Override",
	"X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-User", "X-Remote-User", "Remote-User", "Remote-Groups", "X-WebAuth-User",
	"X-Consumer-Id", "X-Consumer-Username", "X-Consumer-Custom-Id", "X-Anonymous-Consumer", "X-Credential-Identifier",
	"X-Authenticated-Userid", "X-Authenticated-Groups", "X-Authentik-Username", "X-Pomerium-Jwt-Assertion", "X-Vouch-User", "X-User", "X-Userinfo",
	"X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Mtls-Clientcert-Subject",
	"X-MS-Client-Principal", "X-MS-Client-Principal-Id", "X-MS-Client-Principal-Name", "X-MS-Token-Aad-Id-Token", "X-ARR-ClientCert",
	"X-Goog-Authenticated-User-Email", "X-Goog-Iap-Jwt-Assertion", "X-Endpoint-Api-Userinfo", "CF-Access-Authenticated-User-Email",
	"CF-Access-Jwt-Assertion", "Tailscale-User-Login", "X-SSL-Client-S-Dn", "SSL-Client-Verify", "X-Client-Cert", "X-Client-Verify", "Client-Cert", "Client-Cert-Chain",
	"CloudFront-Viewer-Address", "X-Originally-Forwarded-For", "X-Real-Client-IP", "HTTP-Client-IP", "X-Proxy-User", "X-ProxyUser", "X-Authelia-User",
	"WL-Proxy-Client-Cert", "WL-Proxy-SSL", "X-Client-SSL", "X-JWT-Assertion", "X-Token-Subject", "X-Spiffe-Id",
}

// spoofed returns all managed names as the headers of a client that pretends to be someone else.
func spoofed(value string) (headers []string) {
	for _, name := range managedNames {
		if name != "Authorization" { // a second one is refused: see TestAuthorizationHeader
			headers = append(headers, name+": "+value)
		}
	}
	return headers
}

// TestManagedNames sends every managed name in every form that some server takes for it. The upstream must get none of
// them, and all other headers unchanged.
func TestManagedNames(t *testing.T) {
	t.Parallel()
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
			res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", headers...)
			r, _, _ := g.upstream.last()
			if res.status != 200 {
				t.Fatalf("response = %d %s, want 200", res.status, res.body)
			}
			want := http.Header{
				"Content-Type": {"application/json"}, "Content-Length": {"2"}, "User-Agent": {"test/1"}, "X-Custom": {"kept"},
				"X-Forwarded-For": {"127.0.0.1"}, "X-Request-Id": {res.header.Get("X-Request-Id")},
			}
			if diff := cmp.Diff(want, r.Header); diff != "" {
				t.Errorf("headers at the upstream (-want +got):\n%s", diff)
			}
		})
	}
}

// TestManagedNamesOnEveryRoute spoofs headers on each kind of route, also without a key: if the gate does not know who
// the client is, the client must not be able to claim it.
func TestManagedNamesOnEveryRoute(t *testing.T) {
	t.Parallel()
	preflight := []string{"Origin: https://site.example", "Access-Control-Request-Method: POST"}
	for _, tt := range []struct {
		name, method, target, body string
		headers                    []string
	}{
		{"key", "POST", "/api/v1/prediction/" + botA, "{}", []string{bearerOf(secretA)}},
		{"chatflow in the body", "POST", "/api/v1/leads", `{"chatflowid":"` + botA + `"}`, []string{bearerOf(secretA)}},
		{"chatflow in the query", "GET", "/api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c&fileName=f", "", []string{bearerOf(secretA)}},
		{"any key", "PUT", "/api/v1/feedback/00000000-0000-4000-8000-0000000000ff", "{}", []string{bearerOf(secretA)}},
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
			res := g.request(t, tt.method, tt.target, tt.body, headers...)
			if res.status != 200 {
				t.Fatalf("response = %d %s, want 200", res.status, res.body)
			}
			r, _, _ := g.upstream.last()
			if got := r.Header["X-Request-Id"]; len(got) != 1 || got[0] != res.header.Get("X-Request-Id") {
				t.Errorf("X-Request-Id at the upstream = %q, want %q", got, res.header.Get("X-Request-Id"))
			}
			if got := r.Header["X-Forwarded-For"]; len(got) != 1 || got[0] != "127.0.0.1" {
				t.Errorf("X-Forwarded-For at the upstream = %q, want 127.0.0.1", got)
			}
			for name, values := range r.Header {
				if strings.Contains(strings.Join(values, " "), "evil") {
					t.Errorf("%s at the upstream = %q, want none", name, values)
				}
			}
			if got, ok := r.Header["Authorization"]; ok {
				t.Errorf("Authorization at the upstream = %q, want none", got)
			}
		})
	}
}

// TestConnectionCannotRemove has a client that lists in Connection the headers that the gate sets. A proxy that removes
// the listed headers too late would remove those.
func TestConnectionCannotRemove(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "credential", "upstream-credential-1")
	list := "Authorization, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Request-Id, Host, Content-Length, Transfer-Encoding, X-Keep"
	for name, connection := range map[string][]string{
		"in one header":      {"Connection: " + list},
		"in lower case":      {"Connection: " + strings.ToLower(list)},
		"in several headers": {"Connection: Authorization", "connection: X-Forwarded-For, Host", "Connection: ,, x-request-id,Content-Length"},
		"with keep-alive":    {"Connection: keep-alive, " + list},
		"as Proxy":           {"Proxy-Connection: " + list},
	} {
		for setting, want := range map[string]string{"forward": "Bearer " + secretA, "file:" + path: "Bearer upstream-credential-1", "remove": ""} {
			t.Run(name+" "+strings.Split(setting, ":")[0], func(t *testing.T) {
				g := newGate(t, nil, func(o *proxy.Options) {
					var err error
					if o.UpstreamAuthorization, err = keystore.ParseUpstreamAuthorization(setting); err != nil {
						t.Fatal(err)
					}
					o.PublicURL = mustURL(t, "https://flows.example")
				})
				res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", append(connection, bearerOf(secretA), jsonType, "X-Keep: 1")...)
				r, body, n := g.upstream.last()
				if res.status != 200 || n != 1 || body != "{}" || r.Host != "flows.example" {
					t.Fatalf("response = %d, at the upstream %d requests, body %q, Host %q; want 200, 1, {} and flows.example", res.status, n, body, r.Host)
				}
				for name, want := range map[string]string{
					"Authorization": want, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "flows.example", "X-Forwarded-Proto": "https",
					"X-Request-Id": res.header.Get("X-Request-Id"), "Connection": "",
				} {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s at the upstream = %q, want %q", name, got, want)
					}
				}
			})
		}
	}
}

// TestHost sends hosts that could lead elsewhere, or that net/http itself refuses.
func TestHost(t *testing.T) {
	t.Parallel()
	request := func(t *testing.T, g *gate, key string, hosts ...string) *response {
		t.Helper()
		header := "POST /api/v1/prediction/" + botA + " HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n" + jsonType + "\r\n"
		for _, h := range append(hosts, key) {
			if h != "" {
				header += h + "\r\n"
			}
		}
		return g.raw(t, header+"\r\n{}")
	}
	for name, tt := range map[string]struct {
		hosts  []string
		status int // with a key
	}{
		"another":            {[]string{"Host: evil.example"}, 200},
		"with a port":        {[]string{"Host: evil.example:443"}, 200},
		"the upstream's own": {[]string{"Host: 127.0.0.1:3000"}, 200},
		"empty":              {[]string{"Host:"}, 200},
		"with a user":        {[]string{"Host: a@evil.example"}, 400},
		"none":               {nil, 400},
		"two":                {[]string{"Host: gate", "Host: evil.example"}, 400},
		"two alike":          {[]string{"Host: gate", "Host: gate"}, 400},
		"with a path":        {[]string{"Host: evil.example/api/v1/ping"}, 400},
		"with a query":       {[]string{"Host: evil.example?x"}, 400},
		"with a fragment":    {[]string{"Host: evil.example#x"}, 400},
		"with a backslash":   {[]string{`Host: evil.example\x`}, 400},
		"with a space":       {[]string{"Host: evil.example x"}, 400},
		"with a NUL":         {[]string{"Host: evil.example\x00"}, 400},
		"not ASCII":          {[]string{"Host: \u00e4.example"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, nil, nil)
			without := request(t, g, "", tt.hosts...)
			if want := map[int]int{200: 401, 400: 400}[tt.status]; without.status != want || g.upstream.connections.Load() != 0 {
				t.Errorf("response without a key = %d, %d connections to the upstream; want %d and none", without.status, g.upstream.connections.Load(), want)
			}
			res := request(t, g, bearerOf(secretA), tt.hosts...)
			r, _, n := g.upstream.last()
			if tt.status == 400 {
				if res.status != 400 || n != 0 || strings.Contains(res.headerText()+res.body, "evil") {
					t.Errorf("response = %d %s, %d requests at the upstream; want 400, none, and no word of what was sent", res.status, res.body, n)
				}
				return
			}
			if res.status != 200 || n != 1 {
				t.Fatalf("response = %d %s, %d requests at the upstream; want 200, 1", res.status, res.body, n)
			}
			if r.Host != strings.TrimPrefix(g.upstream.URL, "http://") {
				t.Errorf("Host at the upstream = %q, want its own", r.Host)
			}
			if strings.Contains(res.headerText()+res.body, "evil") {
				t.Errorf("response = %s%s, want none of the host in it", res.headerText(), res.body)
			}
		})
	}
}

// TestOtherHeadersPass: headers that concern only the client and the upstream pass unchanged, both ways.
func TestOtherHeadersPass(t *testing.T) {
	t.Parallel()
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
	client := []string{
		"Range: bytes=0-3", `If-Range: "v1"`, `If-None-Match: "v0"`, "Accept: text/plain", "Accept: */*;q=0.1", "Accept-Language: de", "Accept-Encoding: gzip;q=0",
		"Origin: https://site.example", "Referer: https://site.example/", "Traceparent: " + traceparent, "Tracestate: a=b", "X-Webhook-Signature: sha256=00", "Cache-Control: no-cache", "X-1: ",
	}
	res := g.request(t, "GET", "/api/v1/get-upload-file?chatflowId="+botA+"&chatId=c&fileName=f", "", append(client, bearerOf(secretA))...)
	r, _, _ := g.upstream.last()
	want := http.Header{
		"Range": {"bytes=0-3"}, "If-Range": {`"v1"`}, "If-None-Match": {`"v0"`}, "Accept": {"text/plain", "*/*;q=0.1"}, "Accept-Language": {"de"},
		"Accept-Encoding": {"gzip;q=0"}, "Origin": {"https://site.example"}, "Referer": {"https://site.example/"}, "Traceparent": {traceparent}, "Tracestate": {"a=b"},
		"X-Webhook-Signature": {"sha256=00"}, "Cache-Control": {"no-cache"}, "X-1": {""},
		"X-Forwarded-For": {"127.0.0.1"}, "X-Request-Id": {res.header.Get("X-Request-Id")},
	}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		t.Errorf("headers at the upstream (-want +got):\n%s", diff)
	}
	for _, name := range []string{"Date", "X-Request-Id", "X-Content-Type-Options"} {
		res.header.Del(name)
	}
	wantBack := http.Header{
		"Content-Range": {"bytes 0-3/10"}, "Etag": {`"v1"`}, "Content-Disposition": {`attachment; filename="a.txt"`}, "X-List": {"a", "b"}, "Content-Length": {"4"},
		"Content-Type": {"text/plain; charset=utf-8"},
	}
	if diff := cmp.Diff(wantBack, res.header); diff != "" || res.status != 206 || res.body != "part" {
		t.Errorf("response = %d %q, want 206 and the part; headers (-want +got):\n%s", res.status, res.body, diff)
	}
}
