package proxy_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
)

// TestForwardedRequest compares what reaches the runner with what the caller sent.
func TestForwardedRequest(t *testing.T) {
	predict := "/api/v1/prediction/" + botA
	tests := []struct {
		name, method, target, body string
		headers                    []string
		want                       string // method and target that reach the runner
	}{
		{"prediction", "POST", predict, `{"question":"hi"}`, []string{bearerOf(secretA)}, "POST " + predict},
		{"scheme in lower case", "POST", predict, `{}`, []string{"Authorization: bearer " + secretA}, "POST " + predict},
		{"ops key, listed", "POST", predict, `{}`, []string{bearerOf(secretOps)}, "POST " + predict},
		{"ops key, unlisted", "POST", "/api/v1/prediction/" + unlisted, `{}`, []string{bearerOf(secretOps)}, "POST /api/v1/prediction/" + unlisted},
		{"query is dropped", "POST", predict + "?x=%3Cscript%3E&chatflowId=" + botB, `{}`, []string{bearerOf(secretA)}, "POST " + predict},
		{"abort", "PUT", "/api/v1/chatmessage/abort/" + botA + "/chat-1", "", []string{bearerOf(secretA)}, "PUT /api/v1/chatmessage/abort/" + botA + "/chat-1"},
		{
			"file, query in another order", "GET", "/api/v1/get-upload-file?fileName=a%20%C3%BC.txt&chatId=c1&chatflowId=" + botA, "",
			[]string{bearerOf(secretA)},
			"GET /api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c1&fileName=a%20%C3%BC.txt",
		},
		{"ping", "GET", "/api/v1/ping", "", nil, "GET /api/v1/ping"},
		{"discovery without a key", "GET", "/api/v1/chatflows-streaming/" + botA, "", nil, "GET /api/v1/chatflows-streaming/" + botA},
		{"leads, as the widget spells it", "POST", "/api/v1/leads/", `{"chatflowid":"` + botA + `","email":"x"}`, []string{bearerOf(secretA)}, "POST /api/v1/leads"},
		{"chatflow in a body, byte for byte", "POST", "/api/v1/leads", " {\t\"a\" : [1e0, \"\\u0041\"],\n\"chatflow\\u0069d\":\"" + botA + "\" , \"b\":-0 }\r\n", []string{bearerOf(secretA)}, "POST /api/v1/leads"},
		{"feedback", "POST", "/api/v1/feedback/" + botA, `{"chatflowid":"` + botA + `"}`, []string{bearerOf(secretA)}, "POST /api/v1/feedback/" + botA},
		{"feedback changed, any key", "PUT", "/api/v1/feedback/f-1", `{}`, []string{bearerOf(secretB)}, "PUT /api/v1/feedback/f-1"},
		{"webhook with a query", "PATCH", "/api/v1/webhook/" + botA + "?a=1&b=%3Cx%3E&a=2&c", `{}`, []string{bearerOf(secretA)}, "PATCH /api/v1/webhook/" + botA + "?a=1&b=%3Cx%3E&a=2&c"},
		{"preflight", "OPTIONS", predict, "", []string{"Origin: https://x.example", "Access-Control-Request-Method: POST"}, "OPTIONS " + predict},
	}
	g := newGate(t, nil, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, before := g.runner.last()
			a := g.request(t, tt.method, tt.target, tt.body, append(tt.headers, jsonType)...)
			r, body, n := g.runner.last()
			if a.status != 200 || n != before+1 {
				t.Fatalf("answer = %d, %d requests reached the runner; want 200, 1; body %s", a.status, n-before, a.body)
			}
			if got := r.Method + " " + r.RequestURI; got != tt.want || body != tt.body {
				t.Errorf("the runner got %s with body %q, want %s with %q", got, body, tt.want, tt.body)
			}
			if got := r.Header.Get("Authorization"); got != "" {
				t.Errorf("the runner got Authorization %q, want none", got)
			}
		})
	}
}

// TestRefusedIdentity has requests whose chatflow could be read in two ways.
func TestRefusedIdentity(t *testing.T) {
	file := "/api/v1/get-upload-file?"
	id := "chatflowId=" + botA
	widget := func(body string) [3]string { return [3]string{"POST", "/api/v1/leads", body} }
	tests := map[string]struct {
		request [3]string
		code    problem.Code
	}{
		"no ID in the query":         {[3]string{"GET", file + "chatId=c&fileName=f"}, problem.BadChatflowID},
		"ID twice":                   {[3]string{"GET", file + id + "&" + id}, problem.BadRequest},
		"ID as array":                {[3]string{"GET", file + id + "&chatflowId[]=" + botB}, problem.BadRequest},
		"ID's name in another case":  {[3]string{"GET", file + id + "&chatflowid=" + botB}, problem.BadRequest},
		"ID's name encoded":          {[3]string{"GET", file + "chatflow%49d=" + botA}, problem.BadRequest},
		"ID encoded":                 {[3]string{"GET", file + "chatflowId=%33" + botA[1:]}, problem.BadChatflowID},
		"ID's name as an entity":     {[3]string{"GET", file + "chatflow%26%2373;d=" + botA}, problem.BadRequest},
		"ID's name with markup":      {[3]string{"GET", file + "chatflow%3Cx%3EId=" + botA}, problem.BadRequest},
		"ID's name with an index":    {[3]string{"GET", file + id + "&chatflowId[0]=" + botB}, problem.BadRequest},
		"ID's name with a member":    {[3]string{"GET", file + id + "&chatflowId[x]=" + botB}, problem.BadRequest},
		"ID's name in brackets":      {[3]string{"GET", file + id + "&[chatflowId]=" + botB}, problem.BadRequest},
		"ID's name, bracket encoded": {[3]string{"GET", file + id + "&chatflowId%5B%5D=" + botB}, problem.BadRequest},
		"ID's name with a dot":       {[3]string{"GET", file + id + "&chatflowId.x=" + botB}, problem.BadRequest},
		"ID's name after a plus":     {[3]string{"GET", file + id + "&+chatflowId=" + botB}, problem.BadRequest},
		"ID's name with a NUL":       {[3]string{"GET", file + id + "&chatflowId%00=" + botB}, problem.BadRequest},
		"prototype in the query":     {[3]string{"GET", file + id + "&__proto__[chatflowId]=" + botB}, problem.BadRequest},
		"ID without a value":         {[3]string{"GET", file + "chatflowId&chatId=c"}, problem.BadChatflowID},
		"ID in upper case":           {[3]string{"GET", file + "chatflowId=" + strings.ToUpper(botA)}, problem.BadChatflowID},
		"ID in braces":               {[3]string{"GET", file + "chatflowId={" + botA + "}"}, problem.BadChatflowID},
		"ID and a line end":          {[3]string{"GET", file + id + "%0a"}, problem.BadChatflowID},
		"ID and a space":             {[3]string{"GET", file + id + "+"}, problem.BadChatflowID},
		"ID after markup":            {[3]string{"GET", file + "chatflowId=%3Cx%3E" + botA}, problem.BadChatflowID},
		"ID with an entity":          {[3]string{"GET", file + "chatflowId=%26%2351;" + botA[1:]}, problem.BadChatflowID},
		"two IDs in one":             {[3]string{"GET", file + id + "," + botB}, problem.BadChatflowID},
		"an equals sign more":        {[3]string{"GET", file + "chatflowId==" + botA}, problem.BadChatflowID},
		"semicolons":                 {[3]string{"GET", file + id + ";chatId=c"}, problem.BadChatflowID},
		"other chatflow's files":     {[3]string{"GET", file + id + "&chatId=../" + botB + "/c&fileName=f"}, problem.BadRequest},
		"encoded dots":               {[3]string{"GET", file + id + "&chatId=%2e%2e&fileName=f"}, problem.BadRequest},
		"dots behind markup":         {[3]string{"GET", file + id + "&chatId=c&fileName=.%3Cx%3E.%2Ff"}, problem.BadRequest},
		"dots as entity":             {[3]string{"GET", file + id + "&chatId=c&fileName=%26%2346%3B."}, problem.BadRequest},
		"unknown parameter":          {[3]string{"GET", file + id + "&x=1"}, problem.BadRequest},
		"query, no encoding":         {[3]string{"GET", "/api/v1/webhook/" + botA + "?a=%zz"}, problem.BadRequest},
		"query, half an encoding":    {[3]string{"GET", "/api/v1/webhook/" + botA + "?a=b%4"}, problem.BadRequest},
		"query, name no encoding":    {[3]string{"GET", "/api/v1/webhook/" + botA + "?%=b"}, problem.BadRequest},
		"query, not UTF-8":           {[3]string{"GET", "/api/v1/webhook/" + botA + "?a=%ff"}, problem.BadRequest},
		"query, overlong":            {[3]string{"GET", "/api/v1/webhook/" + botA + "?a=%c0%ae"}, problem.BadRequest},
		"query, semicolon":           {[3]string{"GET", "/api/v1/webhook/" + botA + "?a=b;c=d"}, problem.BadRequest},
		"query, one of two":          {[3]string{"GET", "/api/v1/webhook/" + botA + "?a=b&c=%zz"}, problem.BadRequest},
		"member twice":               {widget(`{"chatflowid":"` + botA + `","chatflowid":"` + botB + `"}`), problem.BadChatflowID},
		"member in another case":     {widget(`{"chatflowid":"` + botA + `","chatflowId":"` + botB + `"}`), problem.BadChatflowID},
		"member with an underscore":  {widget(`{"chatflowid":"` + botA + `","chatflow_id":"` + botB + `"}`), problem.BadChatflowID},
		"member with a Kelvin sign":  {widget(`{"chatflowid":"` + botA + `","\u212Ahatflowid":1,"chatflow\u0049d":"` + botB + `"}`), problem.BadChatflowID},
		"prototype":                  {widget(`{"chatflowid":"` + botA + `","__proto__":{"chatflowid":"` + botB + `"}}`), problem.BadChatflowID},
		"member with an escape":      {widget(`{"chatflowid":"` + botA + `","chatflow\u0069d":"` + botB + `"}`), problem.BadChatflowID},
		"member with a blank":        {widget(`{"chatflowid":"` + botA + `","chatflowid\u200b":"` + botB + `"}`), problem.BadChatflowID},
		"member as an array's":       {widget(`{"chatflowid":"` + botA + `","chatflowid[]":"` + botB + `"}`), problem.BadChatflowID},
		"member deeper":              {widget(`{"a":{"chatflowid":"` + botA + `"}}`), problem.BadChatflowID},
		"member is null":             {widget(`{"chatflowid":null}`), problem.BadChatflowID},
		"member in upper case":       {widget(`{"chatflowid":"` + strings.ToUpper(botA) + `"}`), problem.BadChatflowID},
		"member and a line end":      {widget(`{"chatflowid":"` + botA + `\n"}`), problem.BadChatflowID},
		"member and a NUL":           {widget(`{"chatflowid":"` + botA + `\u0000"}`), problem.BadChatflowID},
		"cut":                        {widget(`{"chatflowid":"` + botA + `"`), problem.BadRequest},
		"comment":                    {widget(`{/**/"chatflowid":"` + botA + `"}`), problem.BadRequest},
		"comma at the end":           {widget(`{"chatflowid":"` + botA + `",}`), problem.BadRequest},
		"single quotes":              {widget(`{'chatflowid':'` + botA + `'}`), problem.BadRequest},
		"a string":                   {widget(`"{\"chatflowid\":\"` + botA + `\"}"`), problem.BadRequest},
		"more than 64 KiB":           {widget(`{"chatflowid":"` + botA + `","a":"` + strings.Repeat("x", 64<<10) + `"}`), problem.BodyTooLarge},
		"no member":                  {widget(`{"email":"x"}`), problem.BadChatflowID},
		"member is no string":        {widget(`{"chatflowid":["` + botA + `"]}`), problem.BadChatflowID},
		"no object":                  {widget(`["` + botA + `"]`), problem.BadRequest},
		"something after the object": {widget(`{"chatflowid":"` + botA + `"}{"chatflowid":"` + botB + `"}`), problem.BadRequest},
		"not UTF-8":                  {widget("{\"chatflowid\":\"" + botA + "\",\"a\":\"\xff\"}"), problem.BadRequest},
		"byte order mark":            {widget("\ufeff" + `{"chatflowid":"` + botA + `"}`), problem.BadRequest},
		"path and body differ":       {[3]string{"POST", "/api/v1/feedback/" + botA, `{"chatflowid":"` + botB + `"}`}, problem.BadChatflowID},
		"a row of another chatflow":  {widget(`{"chatflowid":"` + botA + `","id":"some-row"}`), problem.BadRequest},
		"speech without a chatflow":  {[3]string{"POST", "/api/v1/text-to-speech/generate", `{"credentialId":"c"}`}, problem.BadChatflowID},
	}
	g := newGate(t, nil, nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := g.request(t, tt.request[0], tt.request[1], tt.request[2], bearerOf(secretA), jsonType)
			if a.problem.Code != string(tt.code) {
				t.Errorf("answer = %d %q, want %q; body %s", a.status, a.problem.Code, tt.code, a.body)
			}
		})
	}
	for name, headers := range map[string][]string{
		"compressed":        {jsonType, "Content-Encoding: gzip"},
		"form":              {"Content-Type: application/x-www-form-urlencoded"},
		"UTF-16":            {"Content-Type: application/json; charset=utf-16"},
		"two content types": {jsonType, "Content-Type: text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			a := g.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botA+`"}`, append(headers, bearerOf(secretA))...)
			if a.problem.Code != string(problem.BadRequest) {
				t.Errorf("answer = %d %q, want bad_request", a.status, a.problem.Code)
			}
		})
	}
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want 0", n)
	}
}

// TestBodyIsNotReadWithoutKey sends only the head of a request whose chatflow is in its body: a caller
// without a key must get the answer without having sent the body.
func TestBodyIsNotReadWithoutKey(t *testing.T) {
	head := "POST /api/v1/leads HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"
	g := newGate(t, nil, nil)
	checkProblem(t, g.raw(t, head+"\r\n"), 401, problem.MissingKey)
	checkProblem(t, g.raw(t, head+bearerOf(secretExpired)+"\r\n\r\n"), 401, problem.InvalidKey)

	open := newGate(t, nil, withKeys(t, keyFile+publicEntry)) // now the body may be for the public one
	a := open.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botPublic+`"}`, jsonType)
	if a.status != 200 {
		t.Errorf("lead for a public chatflow = %d, want 200; %s", a.status, a.body)
	}
	a = open.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botA+`"}`, jsonType)
	checkProblem(t, a, 401, problem.MissingKey)
}

// TestHeaders sees to what the runner gets of a caller's headers.
func TestHeaders(t *testing.T) {
	caller := []string{
		bearerOf(secretA), "Cookie: session=1", "x-request-from: internal", "X_Request_From: internal", "X.Request.From: internal",
		"Flowise-Tool: true", "X-Flowise-Evaluation: 1", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: evil", "X-Forwarded-Proto: https",
		"X-Forwarded-Prefix: /x", "X_Forwarded_For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Original-URL: /admin",
		"X-HTTP-Method-Override: DELETE", "Proxy-Authorization: Basic x", "TE: trailers", "X-Request-ID: evil-evil-evil",
		"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings, Authorization, X-Request-Id, X-Keep",
		"Keep-Alive: timeout=5", "X-Drop: 1", "Connection: x-drop",
		"Accept: text/event-stream", "Origin: https://site.example", "Accept-Encoding: br", "User-Agent: test/1", "Traceparent: " + traceparent, "Connection: traceparent",
	}
	g := newGate(t, nil, func(o *proxy.Options) { o.PublicURL = mustURL(t, "https://flows.example") })
	a := g.request(t, "POST", "/api/v1/prediction/"+botA, `{}`, append(caller, jsonType)...)
	if a.status != 200 {
		t.Fatalf("answer = %d %s", a.status, a.body)
	}
	r, _, _ := g.runner.last()
	want := http.Header{
		"Accept": {"text/event-stream"}, "Origin": {"https://site.example"}, "Accept-Encoding": {"br"}, "User-Agent": {"test/1"},
		"Traceparent": {traceparent}, "Content-Type": {"application/json"}, "Content-Length": {"2"},
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"flows.example"}, "X-Forwarded-Proto": {"https"},
		"X-Request-Id": {a.header.Get("X-Request-Id")},
	}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		t.Errorf("headers at the runner (-want +got):\n%s", diff)
	}
	if r.Host != "flows.example" {
		t.Errorf("Host at the runner = %q, want flows.example", r.Host)
	}
}

func TestUpstreamAuthorization(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credential")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("runner-credential-1\n")
	file, err := keystore.ParseUpstreamAuthorization("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	keys := withKeys(t, keyFile+publicEntry)
	g := newGate(t, nil, func(o *proxy.Options) { o.UpstreamAuthorization = file; keys(o) })
	send := func(method, target, key string) string {
		t.Helper()
		headers := []string{jsonType}
		if key != "" {
			headers = append(headers, bearerOf(key))
		}
		if a := g.request(t, method, target, "", headers...); a.status != 200 {
			t.Fatalf("%s %s = %d %s", method, target, a.status, a.body)
		}
		r, _, _ := g.runner.last()
		return r.Header.Get("Authorization")
	}
	for _, tt := range []struct{ method, target, key, want string }{
		{"POST", "/api/v1/prediction/" + botA, secretA, "Bearer runner-credential-1"},
		{"POST", "/api/v1/prediction/" + botKeyed, secretA, "Bearer " + secretA},
		{"POST", "/api/v1/prediction/" + botPublic, "", "Bearer runner-credential-1"},
		{"GET", "/api/v1/chatflows-streaming/" + botA, "", ""}, // let in for discovery alone
		{"GET", "/api/v1/chatflows-streaming/" + botA, "wrong-key-0123456789", ""},
		{"GET", "/api/v1/chatflows-streaming/" + botA, secretB, ""}, // a valid key, for another chatflow
		{"PUT", "/api/v1/feedback/f", secretA, "Bearer runner-credential-1"},
		{"GET", "/api/v1/ping", secretA, ""},
	} {
		if got := send(tt.method, tt.target, tt.key); got != tt.want {
			t.Errorf("%s %s with key %q: Authorization = %q, want %q", tt.method, tt.target, tt.key, got, tt.want)
		}
	}
	write("Basic dXNlcjpwYXNz\n")
	eventually(t, "the new credential", func() bool {
		return send("POST", "/api/v1/prediction/"+botA, secretA) == "Basic dXNlcjpwYXNz"
	})
}

func TestForwardedFor(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, tt := range []struct {
		name    string
		trusted []netip.Prefix
		sent    []string
		want    string
	}{
		{"nobody trusted", nil, []string{"6.6.6.6"}, "127.0.0.1"},
		{"peer trusted", trusted, []string{"6.6.6.6"}, "6.6.6.6, 127.0.0.1"},
		{"what the caller wrote is cut off", trusted, []string{"9.9.9.9, 6.6.6.6, 10.1.1.1"}, "6.6.6.6, 10.1.1.1, 127.0.0.1"},
		{"two headers", trusted, []string{"9.9.9.9", "6.6.6.6"}, "6.6.6.6, 127.0.0.1"},
		{"malformed", trusted, []string{"9.9.9.9, evil, 10.1.1.1"}, "10.1.1.1, 127.0.0.1"},
		{"malformed at the right", trusted, []string{"6.6.6.6, evil"}, "127.0.0.1"},
		{"empty item", trusted, []string{"9.9.9.9,, 6.6.6.6"}, "6.6.6.6, 127.0.0.1"},
		{"empty item at the right", trusted, []string{"6.6.6.6,"}, "127.0.0.1"},
		{"port", trusted, []string{"6.6.6.6:80"}, "127.0.0.1"},
		{"unknown", trusted, []string{"unknown"}, "127.0.0.1"},
		{"several headers", trusted, []string{"9.9.9.9, 6.6.6.6", "10.1.1.1", "10.2.2.2"}, "6.6.6.6, 10.1.1.1, 10.2.2.2, 127.0.0.1"},
		{"all trusted", trusted, []string{"10.3.3.3, 10.1.1.1"}, "10.3.3.3, 10.1.1.1, 127.0.0.1"},
		{"IPv6", trusted, []string{"2001:DB8::1"}, "2001:db8::1, 127.0.0.1"},
		{"IPv6 in brackets", trusted, []string{"[2001:db8::1]"}, "127.0.0.1"},
		{"IPv6 with a zone", trusted, []string{"fe80::1%eth0"}, "fe80::1, 127.0.0.1"},
		{"IPv4 in IPv6", trusted, []string{"9.9.9.9, 6.6.6.6, ::ffff:10.1.1.1"}, "6.6.6.6, 10.1.1.1, 127.0.0.1"},
		{"IPv6 proxies", append(trusted, netip.MustParsePrefix("2001:db8:1::/48")), []string{"9.9.9.9, 2001:db8:2::1, 2001:db8:1::1"}, "2001:db8:2::1, 2001:db8:1::1, 127.0.0.1"},
		{"octal", trusted, []string{"010.1.1.1"}, "127.0.0.1"},
		{"decimal", trusted, []string{"167837953"}, "127.0.0.1"},
		{"not trusted, several headers", nil, []string{"6.6.6.6", "7.7.7.7"}, "127.0.0.1"},
		{"another peer trusted", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, []string{"6.6.6.6, 10.1.1.1"}, "127.0.0.1"},
		{"none sent", trusted, nil, "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, func(o *proxy.Options) { o.TrustedProxies = tt.trusted })
			headers := []string{"X-Request-Id: from-the-proxy-1"}
			for _, s := range tt.sent {
				headers = append(headers, "X-Forwarded-For: "+s)
			}
			a := g.request(t, "GET", "/api/v1/ping", "", headers...)
			r, _, _ := g.runner.last()
			if got := r.Header["X-Forwarded-For"]; len(got) != 1 || got[0] != tt.want {
				t.Errorf("X-Forwarded-For at the runner = %q, want %q", got, tt.want)
			}
			if kept := a.header.Get("X-Request-Id") == "from-the-proxy-1"; kept != contains(tt.trusted, "127.0.0.1") {
				t.Errorf("the request ID of the peer was kept: %t, want %t", kept, !kept)
			}
		})
	}
}

func contains(networks []netip.Prefix, addr string) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(addr)) })
}

// TestUploadIsStreamed sends 50 MiB in chunks; the runner must have the first before the last is sent.
func TestUploadIsStreamed(t *testing.T) {
	const size = 50 << 20
	first, done := make(chan struct{}), make(chan int64, 1)
	g := newGate(t, func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.ReadFull(r.Body, make([]byte, 1000))
		close(first)
		rest, _ := io.Copy(io.Discard, r.Body)
		done <- int64(n) + rest
	}, nil)
	body, w := io.Pipe()
	go func() {
		chunk := make([]byte, 1<<20)
		_, _ = rand.Read(chunk)
		for i := range size / len(chunk) {
			if i == 1 {
				<-first
			}
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
		w.Close()
	}()
	req, err := http.NewRequestWithContext(t.Context(), "POST", g.URL+"/api/v1/attachments/"+botA+"/chat-1", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	req.Header.Set("Authorization", "Bearer "+secretA)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := <-done; got != size || res.StatusCode != 200 {
		t.Errorf("answer = %d, %d bytes reached the runner; want 200, %d", res.StatusCode, got, size)
	}
}

func TestClientGoneCancelsUpstream(t *testing.T) {
	reached, gone := make(chan struct{}), make(chan struct{})
	g := newGate(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-r.Context().Done()
		close(gone)
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	req, _ := http.NewRequestWithContext(ctx, "POST", g.URL+"/api/v1/prediction/"+botA, strings.NewReader("{}"))
	req.Header.Set("Authorization", "Bearer "+secretA)
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Fatalf("the request ended with %v, want canceled", err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the runner's request was not cancelled")
	}
	eventually(t, "the log line", func() bool { return strings.Contains(g.log.String(), `"code":"client_closed"`) })
}

// TestNoWebsocketWithoutKey asks for a switch of protocols in the form of a preflight, which needs no
// key, and from a runner that switches whenever it likes.
func TestNoWebsocketWithoutKey(t *testing.T) {
	g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
		_ = rw.Flush()
	}, func(o *proxy.Options) {
		o.Routes = []*route.Route{{Group: "run", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}}
		o.Expose = []string{"run"}
	})
	preflight := []string{"Origin: x", "Access-Control-Request-Method: GET"}
	a := g.request(t, "OPTIONS", "/ws/"+unlisted, "", append(preflight, "Upgrade: websocket")...)
	checkProblem(t, a, 400, problem.BadRequest)
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want 0", n)
	}
	a = g.request(t, "OPTIONS", "/ws/"+botA, "", preflight...)
	checkProblem(t, a, 502, problem.UpstreamUnreachable)
	a = g.request(t, "GET", "/ws/"+botA, "", bearerOf(secretA))
	checkProblem(t, a, 502, problem.UpstreamUnreachable)
}

// TestWebsocket switches protocols on a route that allows it, and echoes.
func TestWebsocket(t *testing.T) {
	g := newGate(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(conn, rw)
	}, func(o *proxy.Options) {
		o.Routes = []*route.Route{{Group: "run", Methods: []string{"GET"}, Path: "/ws/{chatflow}", Websocket: true}}
		o.Expose = []string{"run"}
	})
	conn, err := net.Dial("tcp", g.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET /ws/%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\n\r\n", botA, bearerOf(secretA))
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("X-Request-Id") == "" {
		t.Fatalf("answer = %v, %v; want 101 with a request ID", res, err)
	}
	defer res.Body.Close()
	for _, word := range []string{"one\n", "two\n"} {
		fmt.Fprint(conn, word)
		if got, err := r.ReadString('\n'); got != word {
			t.Fatalf("echo = %q, %v, want %q", got, err, word)
		}
	}
}
