package proxy_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// The pages and secrets of the tests of browser tokens.
const (
	pageOrigin  = "https://www.example.com"
	otherOrigin = "https://other.example.com"

	secretWeb  = "secret-of-web-0123456789"
	secretFree = "secret-of-free-0123456789"
)

const browserFile = `version: 1
keys:
  - id: web
    secret: ` + secretWeb + `
    browser: {origins: [` + pageOrigin + `, https://b.example.com], max_ttl: 1h, per_user: {requests: 3/1h}, cookie: true}
  - id: free
    secret: ` + secretFree + `
    browser: {origins: [` + pageOrigin + `], allow: [overrideConfig, uploads, history]}
  - id: pictures
    secret: secret-of-pictures-0123456789
    browser: {origins: [` + pageOrigin + `], allow: [uploads]}
  - id: grouped
    secret: secret-of-grouped-0123456789
    groups: [widget]
    browser: {origins: [` + pageOrigin + `]}
  - id: far
    secret: secret-of-far-0123456789
    from: [203.0.113.0/24]
    browser: {origins: [` + pageOrigin + `]}
  - {id: plain, secret: ` + secretA + `}
  - {id: off, secret: secret-of-off-0123456789, disabled: true, browser: {origins: [` + pageOrigin + `]}}
  - {id: trap, secret: secret-of-trap-0123456789, honey: true, browser: {origins: [` + pageOrigin + `]}}
  - {id: old, secret: secret-of-old-0123456789, not_after: 2020-01-01T00:00:00Z, browser: {origins: [` + pageOrigin + `]}}
chatflows:
  - {id: ` + botA + `, name: bot-a, keys: [web, free, pictures, grouped, far, plain, off, old, trap]}
  - {id: ` + botB + `, keys: [web]}
  - {id: ` + botKeyed + `, keys: [web], upstream_authorization: forward, body: {deny: [form]}}
  - {id: ` + botPublic + `, public: true}
`

// signingSecret is the gate's secret, as it is written in the file.
var signingSecret = base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv"))

// browserGate starts a gate with the key file of these tests. It returns the gate's secrets, which sign tokens, too.
func browserGate(t *testing.T, handler http.HandlerFunc, change func(*proxy.Options)) (*gate, *token.Secrets) {
	t.Helper()
	options, secrets := browserOptions(t, change)
	return newGate(t, handler, options), secrets
}

// browserOptions returns the options of such a gate, as changed.
func browserOptions(t *testing.T, change func(*proxy.Options)) (func(*proxy.Options), *token.Secrets) {
	t.Helper()
	secrets, err := token.Open(testkit.WriteFile(t, "secrets", signingSecret+"\n"), token.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *proxy.Options) {
		withKeys(t, browserFile)(o)
		o.Tokens, o.FailureLimit = secrets, proxy.FailureLimit{Burst: -1}
		if change != nil {
			change(o)
		}
	}, secrets
}

// browserToken returns a token of key web, for ten minutes, after change.
func browserToken(t testing.TB, s *token.Secrets, change func(*token.Token)) string {
	t.Helper()
	now := time.Now().Truncate(time.Second)
	tok := token.Token{Key: "web", Chatflows: []string{botA}, Origins: []string{pageOrigin}, User: "42", Issued: now, Expires: now.Add(10 * time.Minute)}
	if change != nil {
		change(&tok)
	}
	text, err := s.Mint(tok)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func of(key string) func(*token.Token) { return func(t *token.Token) { t.Key = key } }

// TestBrowserToken sends requests with a token, and checks what becomes of each.
func TestBrowserToken(t *testing.T) {
	t.Parallel()
	g, secrets := browserGate(t, nil, func(o *proxy.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	const (
		invalid, notFor, denied = string(problem.InvalidKey), string(problem.KeyNotForChatflow), string(problem.FieldNotAllowed)
		media, badRequest       = string(problem.UnsupportedMediaType), string(problem.BadRequest)
		question                = `{"question":"x"}`
		origin                  = "Origin: " + pageOrigin
		sameOrigin, sameSite    = "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-site"
		predictA                = "/api/v1/prediction/" + botA
		form                    = "Content-Type: multipart/form-data; boundary=x"
		elsewhere               = "X-Forwarded-For: 203.0.113.7"
	)
	now := time.Now().Truncate(time.Second)
	for name, tt := range map[string]struct {
		token   func(*token.Token)
		request string // method and path
		body    string
		headers []string
		want    string // empty if it is allowed
		reason  string // as logged
	}{
		"its chatflow":             {nil, "POST " + predictA, question, []string{origin, jsonType}, "", ""},
		"config of the chat":       {nil, "GET /api/v1/public-chatbotConfig/" + botA, "", []string{origin}, "", ""},
		"without Origin":           {nil, "GET /api/v1/public-chatbotConfig/" + botA, "", []string{sameOrigin}, "", ""},
		"of the same site":         {nil, "GET /api/v1/public-chatbotConfig/" + botA, "", []string{sameSite}, "", ""},
		"an image":                 {nil, "GET /api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c&fileName=f.png", "", []string{sameOrigin}, "", ""},
		"chatflow in the body":     {nil, "POST /api/v1/leads", `{"chatflowid":"` + botA + `","name":"x"}`, []string{origin, jsonType}, "", ""},
		"two chatflows":            {func(t *token.Token) { t.Chatflows = []string{botB, botA} }, "POST " + predictA, question, []string{origin, jsonType}, "", ""},
		"two origins":              {func(t *token.Token) { t.Origins = []string{"https://b.example.com", pageOrigin} }, "POST " + predictA, question, []string{origin, jsonType}, "", ""},
		"uploads where allowed":    {of("pictures"), "POST " + predictA, `{"question":"x","uploads":[]}`, []string{origin, jsonType}, "", ""},
		"a file where allowed":     {of("pictures"), "POST /api/v1/attachments/" + botA + "/c", "--x--", []string{origin, form}, "", ""},
		"anything if allowed":      {of("free"), "POST " + predictA, `{"overrideConfig":{},"history":[]}`, []string{origin, jsonType}, "", ""},
		"a form if allowed":        {of("free"), "POST " + predictA, "--x--", []string{origin, form}, "", ""},
		"group of its key":         {of("grouped"), "GET /api/v1/public-chatbotConfig/" + botA, "", []string{origin}, "", ""},
		"network of its key":       {of("far"), "POST " + predictA, question, []string{origin, jsonType, elsewhere}, "", ""},
		"a chatflow that forwards": {func(t *token.Token) { t.Chatflows = []string{botKeyed} }, "POST /api/v1/prediction/" + botKeyed, question, []string{origin, jsonType}, "", ""},
		"public, not its own":      {nil, "POST /api/v1/prediction/" + botPublic, question, []string{origin, jsonType}, "", ""},

		"another chatflow of its key":    {nil, "POST /api/v1/prediction/" + botB, question, []string{origin, jsonType}, notFor, "browser token is not for the chatflow"},
		"chatflow that its key lacks":    {func(t *token.Token) { t.Key, t.Chatflows = "free", []string{botB} }, "POST /api/v1/prediction/" + botB, question, []string{origin, jsonType}, notFor, "key is not listed"},
		"unlisted chatflow":              {func(t *token.Token) { t.Chatflows = []string{unlisted} }, "POST /api/v1/prediction/" + unlisted, question, []string{origin, jsonType}, notFor, "key is not listed"},
		"another in the body":            {nil, "POST /api/v1/leads", `{"chatflowid":"` + botB + `"}`, []string{origin, jsonType}, notFor, "browser token is not for the chatflow"},
		"group upsert":                   {nil, "POST /api/v1/vector/upsert/" + botA, `{}`, []string{origin, jsonType}, notFor, "not for routes of this group"},
		"group mcp":                      {nil, "POST /api/v1/mcp/" + botA, `{}`, []string{origin, jsonType}, notFor, "not for routes of this group"},
		"group webhook":                  {nil, "POST /api/v1/webhook/" + botA, `{}`, []string{origin, jsonType}, notFor, "not for routes of this group"},
		"no chatflow is known":           {nil, "PUT /api/v1/feedback/00000000-0000-4000-8000-000000000001", `{}`, []string{origin, jsonType}, notFor, "browser token is not for the chatflow"},
		"group that its key lacks":       {of("grouped"), "POST " + predictA, question, []string{origin, jsonType}, notFor, "`groups`"},
		"network that its key lacks":     {of("far"), "POST " + predictA, question, []string{origin, jsonType}, notFor, "`from`"},
		"another page":                   {nil, "POST " + predictA, question, []string{"Origin: " + otherOrigin, jsonType}, notFor, "not for the page"},
		"another page of its key":        {nil, "POST " + predictA, question, []string{"Origin: https://b.example.com", jsonType}, notFor, "not for the page"},
		"a page that its key lost":       {func(t *token.Token) { t.Origins = []string{otherOrigin} }, "POST " + predictA, question, []string{"Origin: " + otherOrigin, jsonType}, notFor, "not for the page"},
		"a page without an origin":       {func(t *token.Token) { t.Origins = []string{"null"} }, "POST " + predictA, question, []string{"Origin: null", jsonType}, notFor, "not for the page"},
		"origin in capitals":             {nil, "POST " + predictA, question, []string{"Origin: https://WWW.example.com", jsonType}, notFor, "not for the page"},
		"origin with its port":           {nil, "POST " + predictA, question, []string{"Origin: https://www.example.com:443", jsonType}, notFor, "not for the page"},
		"an empty Origin":                {nil, "POST " + predictA, question, []string{"Origin: ", jsonType, sameOrigin}, notFor, "not for the page"},
		"two Origins":                    {nil, "POST " + predictA, question, []string{origin, origin, jsonType}, notFor, "not for the page"},
		"no Origin":                      {nil, "POST " + predictA, question, []string{jsonType}, notFor, "not for the page"},
		"no Origin, same origin":         {nil, "POST " + predictA, question, []string{jsonType, sameOrigin}, notFor, "not for the page"},
		"reading, but nothing said":      {nil, "GET /api/v1/public-chatbotConfig/" + botA, "", nil, notFor, "not for the page"},
		"reading, from another site":     {nil, "GET /api/v1/public-chatbotConfig/" + botA, "", []string{"Sec-Fetch-Site: cross-site"}, notFor, "not for the page"},
		"reading, from the address bar":  {nil, "GET /api/v1/public-chatbotConfig/" + botA, "", []string{"Sec-Fetch-Site: none"}, notFor, "not for the page"},
		"reading, two of them":           {nil, "GET /api/v1/public-chatbotConfig/" + botA, "", []string{sameOrigin, sameSite}, notFor, "not for the page"},
		"reading, from another page":     {nil, "GET /api/v1/public-chatbotConfig/" + botA, "", []string{"Origin: " + otherOrigin, sameOrigin}, notFor, "not for the page"},
		"overrides":                      {nil, "POST " + predictA, `{"question":"x","overrideConfig":{}}`, []string{origin, jsonType}, denied, "overrideConfig"},
		"overrides, in another spelling": {nil, "POST " + predictA, `{"question":"x","override_CONFIG":{}}`, []string{origin, jsonType}, denied, "overrideConfig"},
		"uploads":                        {nil, "POST " + predictA, `{"question":"x","uploads":[]}`, []string{origin, jsonType}, denied, "uploads"},
		"history":                        {nil, "POST " + predictA, `{"history":[]}`, []string{origin, jsonType}, denied, "history"},
		"overrides beside uploads":       {of("pictures"), "POST " + predictA, `{"uploads":[],"overrideConfig":{}}`, []string{origin, jsonType}, denied, "overrideConfig"},
		"overrides in a lead":            {nil, "POST /api/v1/leads", `{"chatflowid":"` + botA + `","overrideConfig":{}}`, []string{origin, jsonType}, denied, "overrideConfig"},
		"a form":                         {nil, "POST " + predictA, "--x--", []string{origin, form}, media, ""},
		"a form with overrides":          {of("pictures"), "POST " + predictA, "--x--", []string{origin, form}, media, ""},
		"a file":                         {nil, "POST /api/v1/attachments/" + botA + "/c", "--x--", []string{origin, form}, media, ""},
		"a compressed body":              {nil, "POST " + predictA, "x", []string{origin, jsonType, "Content-Encoding: gzip"}, media, ""},
		"a member that occurs twice":     {nil, "POST " + predictA, `{"question":"x","question":"y"}`, []string{origin, jsonType}, badRequest, ""},
		"also what the chatflow denies":  {func(t *token.Token) { t.Chatflows = []string{botKeyed} }, "POST /api/v1/prediction/" + botKeyed, `{"form":{}}`, []string{origin, jsonType}, denied, "form"},
		"beside what the chatflow does":  {func(t *token.Token) { t.Chatflows = []string{botKeyed} }, "POST /api/v1/prediction/" + botKeyed, `{"uploads":[]}`, []string{origin, jsonType}, denied, "uploads"},
		"valid for too long":             {func(t *token.Token) { t.Expires = t.Issued.Add(time.Hour + time.Second) }, "POST " + predictA, question, []string{origin, jsonType}, notFor, "`max_ttl`"},
		"valid for too long for its key": {func(t *token.Token) { t.Key, t.Expires = "free", t.Issued.Add(16*time.Minute) }, "POST " + predictA, question, []string{origin, jsonType}, notFor, "`max_ttl`"},
		"expired":                        {func(t *token.Token) { t.Issued, t.Expires = now.Add(-time.Hour), now }, "POST " + predictA, question, []string{origin, jsonType}, invalid, "browser token has expired"},
		"of the future":                  {func(t *token.Token) { t.Issued, t.Expires = now.Add(time.Hour), now.Add(2*time.Hour) }, "POST " + predictA, question, []string{origin, jsonType}, invalid, "issued in the future"},
		"key disabled":                   {of("off"), "POST " + predictA, question, []string{origin, jsonType}, invalid, "key is disabled"},
		"key expired":                    {of("old"), "POST " + predictA, question, []string{origin, jsonType}, invalid, "key has expired"},
		"key planted":                    {of("trap"), "POST " + predictA, question, []string{origin, jsonType}, invalid, "honey key"},
		"key without tokens":             {of("plain"), "POST " + predictA, question, []string{origin, jsonType}, invalid, "not there any more"},
		"key unknown":                    {of("gone"), "POST " + predictA, question, []string{origin, jsonType}, invalid, "not there any more"},

		"asking about its key":   {nil, "GET /-/key", "", []string{origin}, invalid, "unknown key"},
		"asking for a new token": {nil, "POST /-/token", `{"chatflow":"` + botA + `","origin":"` + pageOrigin + `"}`, []string{jsonType}, invalid, "unknown key"},
	} {
		text := browserToken(t, secrets, func(tok *token.Token) {
			if tok.User = name; tt.token != nil { // each has its own limits
				tt.token(tok)
			}
		})
		_, _, before := g.upstream.last()
		method, path, _ := strings.Cut(tt.request, " ")
		logged := len(g.log.String())
		res := g.request(t, method, path, tt.body, append([]string{bearerOf(text)}, tt.headers...)...)
		forwarded, _, after := g.upstream.last()
		if res.problem.Code != tt.want || (tt.want == "") != (after == before+1) {
			t.Errorf("%s: %d %q, reached the upstream: %t, want %q", name, res.status, res.problem.Code, after > before, tt.want)
			continue
		}
		if tt.want == "" && forwarded.Header.Get("Authorization") != "" {
			t.Errorf("%s: the upstream got the token", name)
		}
		testkit.Eventually(t, "the log line", func() bool { return strings.Contains(g.log.String()[logged:], `"message":"request"`) })
		if line := g.log.String()[logged:]; !strings.Contains(line, tt.reason) || strings.Contains(line, text) {
			t.Errorf("%s: log line %s, want the reason %q and no token", name, line, tt.reason)
		}
	}
}

// TestBrowserTokenOfAPublicChatflow: a client with a token that is invalid, or for something else, may still do what
// everybody may.
func TestBrowserTokenOfAPublicChatflow(t *testing.T) {
	t.Parallel()
	g, secrets := browserGate(t, nil, nil)
	for name, text := range map[string]string{
		"malformed": "eyJ.e30.x",
		"unknown":   browserToken(t, token.Random(), nil),
		"gone":      browserToken(t, secrets, of("gone")),
	} {
		if res := g.predict(t, botPublic, text); res.status != 200 {
			t.Errorf("%s: %d %s, want 200", name, res.status, res.body)
		}
	}
}

// TestBrowserTokenDiesWithItsKey changes the key file. From the next request on, a token means what its key then allows.
func TestBrowserTokenDiesWithItsKey(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "keys.yaml", browserFile)
	var store *keystore.Store
	g, secrets := browserGate(t, nil, func(o *proxy.Options) {
		store = openStore(t, path)
		o.Store = store
	})
	text := browserToken(t, secrets, nil)
	const web = "    browser: {origins: [" + pageOrigin + ", https://b.example.com], max_ttl: 1h, per_user: {requests: 3/1h}, cookie: true}\n"
	for _, tt := range []struct{ what, old, next, want string }{
		{"nothing", "", "", ""},
		{"the key is disabled", web, web + "    disabled: true\n", string(problem.InvalidKey)},
		{"it has no tokens", web, "", string(problem.InvalidKey)},
		{"it has expired", web, web + "    not_after: 2020-01-01T00:00:00Z\n", string(problem.InvalidKey)},
		{"its secret was replaced", secretWeb, "another-secret-0123456789", ""},
		{"the page is gone", "[" + pageOrigin + ", ", "[", string(problem.KeyNotForChatflow)},
		{"the chatflow is gone", "keys: [web, free, pict", "keys: [free, pict", string(problem.KeyNotForChatflow)},
		{"shorter lives", "max_ttl: 1h", "max_ttl: 5m", string(problem.KeyNotForChatflow)},
	} {
		testkit.ReplaceFile(t, path, strings.Replace(browserFile, tt.old, tt.next, 1))
		if r := store.Reload(); r.Err != nil {
			t.Fatal(r.Err)
		}
		if res := g.predict(t, botA, text, "Origin: "+pageOrigin); res.problem.Code != tt.want {
			t.Errorf("%s: %d %q, want %q", tt.what, res.status, res.problem.Code, tt.want)
		}
	}
}

// TestBrowserTokenStreams: an open stream ends together with its key if that is set, but goes on when the token has
// expired.
func TestBrowserTokenStreams(t *testing.T) {
	t.Parallel()
	c := newClock()
	path := testkit.WriteFile(t, "keys.yaml", browserFile)
	store := openStore(t, path)
	options, secrets := browserOptions(t, func(o *proxy.Options) { o.Store, o.CutRevoked, o.Now = store, true, c.now })
	next := make(chan string)
	s := serveGateWith(t, events(next), time.Minute, options)
	g := s.gate
	text := browserToken(t, secrets, func(tok *token.Token) { tok.Issued, tok.Expires = c.now(), c.now().Add(time.Minute) })
	conn := g.dial(t)
	body := `{"question":"x"}`
	fmt.Fprintf(conn, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\nOrigin: %s\r\n%s\r\nContent-Length: %d\r\n\r\n%s", botA, bearerOf(text), pageOrigin, jsonType, len(body), body)
	testkit.Eventually(t, "an open stream", func() bool { return g.proxy.Stats().KeyUse("web").Streams == 1 })
	c.advance(time.Hour)
	if res := g.predict(t, botA, text, "Origin: "+pageOrigin); res.problem.Code != string(problem.InvalidKey) {
		t.Errorf("a request with the token once it has expired = %d %s, want it refused", res.status, res.body)
	}
	if n := g.proxy.Stats().KeyUse("web").Streams; n != 1 {
		t.Errorf("open streams once the token has expired = %d, want the one", n)
	}
	testkit.ReplaceFile(t, path, strings.Replace(browserFile, "secret: "+secretWeb, "secret: "+secretWeb+"\n    disabled: true", 1))
	store.Reload()
	testkit.Eventually(t, "the end of the stream", func() bool { return g.proxy.Stats().KeyUse("web").Streams == 0 })
	testkit.Eventually(t, "its log line", func() bool { return strings.Contains(g.log.String(), `"code":"key_revoked"`) })
}
