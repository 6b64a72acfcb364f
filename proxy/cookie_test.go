package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// cookieGate starts a gate whose public URL is the page's origin.
func cookieGate(t *testing.T, handler http.HandlerFunc, change func(*proxy.Options)) (*gate, *token.Secrets) {
	t.Helper()
	return browserGate(t, handler, func(o *proxy.Options) {
		withKeys(t, strings.Replace(browserFile, "requests: 3/1h", "requests: 1000/1h", 1))(o)
		o.PublicURL = mustURL(t, pageOrigin)
		if change != nil {
			change(o)
		}
	})
}

func cookieOf(text string) string { return "Cookie: __Host-flowlatch=" + text }

// TestCookie sends requests with a token in a cookie: those that a page of the gate's own origin sends, and what browsers
// and others make of them otherwise.
func TestCookie(t *testing.T) {
	t.Parallel()
	g, secrets := cookieGate(t, nil, nil)
	text, other := browserToken(t, secrets, nil), browserToken(t, secrets, func(tok *token.Token) { tok.User = "43" })
	const (
		get, post                = "GET /api/v1/public-chatbotConfig/" + botA, "POST /api/v1/prediction/" + botA
		missing, invalid, notFor = string(problem.MissingKey), string(problem.InvalidKey), string(problem.KeyNotForChatflow)
		origin                   = "Origin: " + pageOrigin
		same, site, cross, none  = "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none"
		empty, image             = "Sec-Fetch-Dest: empty", "Sec-Fetch-Dest: image"
		evil                     = "Origin: https://evil.example.com"
	)
	cookie := cookieOf(text)
	for name, tt := range map[string]struct {
		request string
		headers []string
		want    string
		reason  string
	}{
		// Sent by the page itself.
		"page: fetch GET":               {get, []string{cookie, same, empty}, "", ""},
		"page: HEAD":                    {strings.Replace(get, "GET", "HEAD", 1), []string{cookie, same, empty}, "", ""},
		"page: fetch GET with Origin":   {get, []string{cookie, same, empty, origin}, "", ""},
		"page: question":                {post, []string{cookie, same, empty, origin}, "", ""},
		"page: image":                   {get, []string{cookie, same, image}, "", ""},
		"page: beside other cookies":    {get, []string{"Cookie: a=b; __Host-flowlatch=" + text + "; c=d", same, empty}, "", ""},
		"page: a cookie of such a name": {get, []string{"Cookie: __host-flowlatch=x; flowlatch=y; __Host-flowlatch=" + text + "; __Host-flowlatch2=z", same, empty}, "", ""},
		"page: cookies in two headers":  {get, []string{"Cookie: a=b", cookie, same, empty}, "", ""},
		"page: script element":          {get, []string{cookie, same, "Sec-Fetch-Dest: script"}, missing, "Sec-Fetch-Dest"},
		"page: frame":                   {get, []string{cookie, same, "Sec-Fetch-Dest: iframe"}, missing, "Sec-Fetch-Dest"},
		"page: form, link":              {get, []string{cookie, same, "Sec-Fetch-Dest: document"}, missing, "Sec-Fetch-Dest"},
		"page: worker":                  {get, []string{cookie, same, "Sec-Fetch-Dest: worker"}, missing, "Sec-Fetch-Dest"},
		"page: websocket":               {get, []string{cookie, same, "Sec-Fetch-Dest: websocket"}, missing, "Sec-Fetch-Dest"},
		"page: dest not said":           {get, []string{cookie, same}, missing, "Sec-Fetch-Dest"},
		"page: dest said twice":         {get, []string{cookie, same, empty, image}, missing, "Sec-Fetch-Dest"},
		"page: question without Origin": {post, []string{cookie, same, empty}, missing, "--public-url"},

		// The address bar, and pages of the same site: another port, a sibling domain.
		"address bar":                       {get, []string{cookie, none, "Sec-Fetch-Dest: document"}, missing, "Sec-Fetch-Site"},
		"address bar, as if a script's":     {get, []string{cookie, none, empty}, missing, "Sec-Fetch-Site"},
		"same site: fetch":                  {get, []string{cookie, site, empty, evil}, missing, "Sec-Fetch-Site"},
		"same site: POST":                   {post, []string{cookie, site, empty, evil}, missing, "Sec-Fetch-Site"},
		"same site: form":                   {post, []string{cookie, site, "Sec-Fetch-Dest: document", evil}, missing, "Sec-Fetch-Site"},
		"same site: image":                  {get, []string{cookie, site, image}, missing, "Sec-Fetch-Site"},
		"same site: script":                 {get, []string{cookie, site, "Sec-Fetch-Dest: script"}, missing, "Sec-Fetch-Site"},
		"same site: frame":                  {get, []string{cookie, site, "Sec-Fetch-Dest: iframe"}, missing, "Sec-Fetch-Site"},
		"same site: image, open redirect":   {get, []string{cookie, cross, image}, missing, "Sec-Fetch-Site"},
		"same site, as if the page's":       {post, []string{cookie, site, empty, origin}, missing, "Sec-Fetch-Site"},
		"cross site: link, with a lax one":  {get, []string{cookie, cross, "Sec-Fetch-Dest: document"}, missing, "Sec-Fetch-Site"},
		"cross site: form, with SameSite=0": {post, []string{cookie, cross, "Sec-Fetch-Dest: document", evil}, missing, "Sec-Fetch-Site"},
		"sandboxed frame":                   {post, []string{cookie, cross, empty, "Origin: null"}, missing, "Sec-Fetch-Site"},
		"null, same origin":                 {post, []string{cookie, same, empty, "Origin: null"}, missing, "--public-url"},
		"null, reading":                     {get, []string{cookie, same, empty, "Origin: null"}, missing, "--public-url"},
		"another origin, reading":           {get, []string{cookie, same, empty, evil}, missing, "--public-url"},
		"another origin of the key":         {post, []string{cookie, same, empty, "Origin: https://b.example.com"}, missing, "--public-url"},
		"origin with a port":                {post, []string{cookie, same, empty, "Origin: https://www.example.com:8443"}, missing, "--public-url"},
		"origin over http":                  {post, []string{cookie, same, empty, "Origin: http://www.example.com"}, missing, "--public-url"},
		"two origins":                       {post, []string{cookie, same, empty, origin, origin}, missing, "--public-url"},
		"plain http on a name: reading":     {get, []string{cookie}, missing, "Sec-Fetch-Site"},
		"plain http on a name: question":    {post, []string{cookie, origin}, missing, "Sec-Fetch-Site"},
		"site said twice":                   {get, []string{cookie, same, same, empty}, missing, "Sec-Fetch-Site"},
		"site said in capitals":             {get, []string{cookie, "Sec-Fetch-Site: Same-Origin", empty}, missing, "Sec-Fetch-Site"},
		"site said with more":               {get, []string{cookie, "Sec-Fetch-Site: same-origin, cross-site", empty}, missing, "Sec-Fetch-Site"},

		// Which credential counts.
		"tossed cookie":                {get, []string{"Cookie: __Host-flowlatch=EVIL; __Host-flowlatch=" + text, same, empty}, missing, "two cookies"},
		"the same one twice":           {get, []string{"Cookie: __Host-flowlatch=" + text + "; __Host-flowlatch=" + text, same, empty}, missing, "two cookies"},
		"two, in two headers":          {get, []string{cookie, cookieOf(other), same, empty}, missing, "two cookies"},
		"one without a value":          {get, []string{"Cookie: __Host-flowlatch; __Host-flowlatch=" + text, same, empty}, missing, "two cookies"},
		"a blank in its name":          {get, []string{"Cookie: __Host-flowlatch =x; __Host-flowlatch=" + text, same, empty}, missing, "two cookies"},
		"empty":                        {get, []string{"Cookie: __Host-flowlatch=", same, empty}, missing, ""},
		"a key in the cookie":          {get, []string{cookieOf(secretWeb), same, empty}, invalid, "malformed"},
		"no token":                     {get, []string{cookieOf("x"), same, empty}, invalid, "malformed"},
		"in quotes":                    {get, []string{cookieOf(`"` + text + `"`), same, empty}, invalid, "malformed"},
		"signed by others":             {get, []string{cookieOf(browserToken(t, token.Random(), nil)), same, empty}, invalid, "wrong signature"},
		"of a key without cookies":     {get, []string{cookieOf(browserToken(t, secrets, of("free"))), same, empty}, invalid, "no `cookie: true`"},
		"of a disabled key":            {get, []string{cookieOf(browserToken(t, secrets, of("off"))), same, empty}, invalid, "not there any more"},
		"another chatflow":             {strings.Replace(get, botA, botB, 1), []string{cookie, same, empty}, notFor, "not for the chatflow"},
		"another page's":               {post, []string{cookieOf(browserToken(t, secrets, func(tok *token.Token) { tok.Origins = []string{"https://b.example.com"} })), same, empty, origin}, notFor, "not for the page"},
		"a key beside it":              {get, []string{cookie, same, empty, bearerOf(secretA)}, "", ""},
		"a key beside it, from afar":   {get, []string{cookie, cross, bearerOf(secretA)}, "", ""},
		"a wrong key beside it":        {get, []string{cookie, same, empty, bearerOf("wrong-secret-0123456789")}, invalid, "unknown key"},
		"a malformed key beside it":    {get, []string{cookie, same, empty, "Authorization: Bearer "}, invalid, "malformed bearer token"},
		"another scheme beside it":     {get, []string{cookie, same, empty, "Authorization: Basic eDp5"}, missing, "decides in its place (Authorization)"},
		"an empty header beside it":    {get, []string{cookie, same, empty, "Authorization: "}, missing, "decides in its place (Authorization)"},
		"another scheme alone":         {get, []string{same, empty, "Authorization: Basic eDp5"}, missing, `"reason":"no bearer token"`},
		"a public chatflow, from afar": {strings.Replace(get, botA, botPublic, 1), []string{cookie, cross}, "", ""},
	} {
		_, _, before := g.upstream.last()
		logged := len(g.log.String())
		method, path, _ := strings.Cut(tt.request, " ")
		body, headers := "", tt.headers
		if method == "POST" {
			body, headers = `{"question":"x"}`, append(headers, jsonType)
		}
		res := g.request(t, method, path, body, headers...)
		forwarded, _, after := g.upstream.last()
		if res.problem.Code != tt.want || (tt.want == "") != (after == before+1) {
			t.Errorf("%s: %d %q, reached the upstream: %t, want %q", name, res.status, res.problem.Code, after > before, tt.want)
			continue
		}
		if tt.want == "" && (forwarded.Header["Cookie"] != nil || forwarded.Header["Authorization"] != nil) {
			t.Errorf("%s: the upstream got %v", name, forwarded.Header)
		}
		testkit.Eventually(t, "the log line", func() bool { return strings.Contains(g.log.String()[logged:], `"message":"request"`) })
		if line := g.log.String()[logged:]; !strings.Contains(line, tt.reason) {
			t.Errorf("%s: log line %s, want the reason %q", name, line, tt.reason)
		}
	}
}

// TestCookieWithoutPublicURL: a gate that does not know its own origin accepts no cookie.
func TestCookieWithoutPublicURL(t *testing.T) {
	t.Parallel()
	g, secrets := browserGate(t, nil, nil)
	res := g.request(t, "GET", "/api/v1/public-chatbotConfig/"+botA, "", cookieOf(browserToken(t, secrets, nil)), "Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: empty")
	checkProblem(t, res, 401, problem.MissingKey)
	testkit.Eventually(t, "the reason in the log", func() bool { return strings.Contains(g.log.String(), "cookies need --public-url") })
}

// TestCookieResponses: the response to a request with a cookie is meant for one visitor, and no page of another origin
// may read it.
func TestCookieResponses(t *testing.T) {
	t.Parallel()
	g, secrets := cookieGate(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Cache-Control", "Access-Control-Allow-Credentials"} {
			if v := r.Header.Get("Want-" + name); v != "" {
				w.Header().Set(name, v)
			}
		}
		w.Header()["Content-Type"] = nil
		fmt.Fprint(w, "alert(1)")
	}, nil)
	const path = "/api/v1/public-chatbotConfig/" + botA
	for _, tt := range []struct{ upstream, want string }{
		{"", "private"}, {"public, max-age=3600", "private"}, {"no-store", "no-store"}, {"private, no-store", "private, no-store"},
	} {
		headers := []string{"Want-Cache-Control: " + tt.upstream, "Want-Access-Control-Allow-Credentials: true", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: image"}
		res := g.request(t, "GET", path, "", append(headers, cookieOf(browserToken(t, secrets, nil)))...)
		h := res.header
		if res.status != 200 || h.Get("Cache-Control") != tt.want || h.Get("X-Content-Type-Options") != "nosniff" || h["Access-Control-Allow-Credentials"] != nil || h["Content-Type"] != nil {
			t.Errorf("with a cookie, upstream %q: %d %v, want Cache-Control %q, nosniff and no credentials", tt.upstream, res.status, h, tt.want)
		}
		res = g.request(t, "GET", path, "", append(headers, bearerOf(secretWeb))...)
		if got := res.header.Get("Cache-Control"); got != tt.upstream || res.header.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("with a key, upstream %q: Cache-Control %q, want it unchanged", tt.upstream, got)
		}
	}
	refused := g.request(t, "GET", "/api/v1/public-chatbotConfig/"+botB, "", cookieOf(browserToken(t, secrets, nil)), "Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: empty")
	if refused.status != 403 || refused.header.Get("Cache-Control") != "no-store" {
		t.Errorf("refused = %d %v, want it not stored", refused.status, refused.header)
	}
	cors, secrets := cookieGate(t, nil, func(o *proxy.Options) { o.CORSOrigins = []string{pageOrigin} })
	res := cors.request(t, "GET", path, "", cookieOf(browserToken(t, secrets, nil)), "Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: empty", "Origin: "+pageOrigin)
	if res.status != 200 || res.header.Get("Access-Control-Allow-Origin") != pageOrigin || res.header["Access-Control-Allow-Credentials"] != nil {
		t.Errorf("with --cors-origins: %d %v, want the origin and no credentials", res.status, res.header)
	}
}

// TestCookieHTTP2 splits the Cookie header, as HTTP/2 allows. One cookie of the name counts, two do not.
func TestCookieHTTP2(t *testing.T) {
	t.Parallel()
	options, secrets := browserOptions(t, func(o *proxy.Options) { o.PublicURL = mustURL(t, pageOrigin) })
	s := serveTLS(t, nil, time.Second, options)
	text := browserToken(t, secrets, nil)
	for name, tt := range map[string]struct {
		cookies []string
		want    int
	}{
		"one":               {[]string{"__Host-flowlatch=" + text}, 200},
		"split":             {[]string{"a=b", "__Host-flowlatch=" + text, "c=d"}, 200},
		"two, split":        {[]string{"__Host-flowlatch=" + text, "__Host-flowlatch=x"}, 401},
		"the same, split":   {[]string{"__Host-flowlatch=" + text, "__Host-flowlatch=" + text}, 401},
		"cut in the middle": {[]string{"__Host-flow", "latch=" + text}, 401},
	} {
		header := []field{
			{":method", "GET"},
			{":scheme", "https"},
			{":authority", "gate"},
			{":path", "/api/v1/public-chatbotConfig/" + botA},
			{"sec-fetch-site", "same-origin"},
			{"sec-fetch-dest", "empty"},
		}
		for _, v := range tt.cookies {
			header = append(header, field{"cookie", v})
		}
		c := s.dialH2(t)
		if res := c.response(t, c.send(t, header, true)); res.status != tt.want {
			t.Errorf("%s: %d %s, want %d", name, res.status, res.body, tt.want)
		}
	}
}

// TestOwnSession exchanges tokens for cookies.
func TestOwnSession(t *testing.T) {
	t.Parallel()
	g, secrets := cookieGate(t, nil, nil)
	text := browserToken(t, secrets, nil)
	const (
		origin, same, empty      = "Origin: " + pageOrigin, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: empty"
		missing, invalid, notFor = string(problem.MissingKey), string(problem.InvalidKey), string(problem.KeyNotForChatflow)
	)
	for name, tt := range map[string]struct {
		method  string
		headers []string
		want    string // code; empty for a cookie
	}{
		"a token":              {"POST", []string{bearerOf(text), origin, same, empty}, ""},
		"signing out":          {"DELETE", []string{origin, same, empty}, ""},
		"no token":             {"POST", []string{origin, same, empty}, missing},
		"the cookie itself":    {"POST", []string{cookieOf(text), origin, same, empty}, missing},
		"a key":                {"POST", []string{bearerOf(secretWeb), origin, same, empty}, notFor},
		"a wrong key":          {"POST", []string{bearerOf("wrong-secret-0123456789"), origin, same, empty}, invalid},
		"a malformed token":    {"POST", []string{bearerOf(text + "x"), origin, same, empty}, invalid},
		"no cookies allowed":   {"POST", []string{bearerOf(browserToken(t, secrets, of("free"))), origin, same, empty}, notFor},
		"a dead key":           {"POST", []string{bearerOf(browserToken(t, secrets, of("off"))), origin, same, empty}, invalid},
		"another page's token": {"POST", []string{bearerOf(browserToken(t, secrets, func(tok *token.Token) { tok.Origins = []string{"https://b.example.com"} })), origin, same, empty}, notFor},
		"another page":         {"POST", []string{bearerOf(text), "Origin: https://b.example.com", same, empty}, notFor},
		"the same site":        {"POST", []string{bearerOf(text), origin, "Sec-Fetch-Site: same-site", empty}, notFor},
		"nothing said":         {"POST", []string{bearerOf(text)}, notFor},
		"no origin":            {"POST", []string{bearerOf(text), same, empty}, notFor},
		"a form":               {"POST", []string{bearerOf(text), origin, same, "Sec-Fetch-Dest: document"}, notFor},
		"out, from elsewhere":  {"DELETE", []string{"Origin: https://b.example.com", "Sec-Fetch-Site: same-site", empty}, notFor},
		"reading it":           {"GET", []string{bearerOf(text), origin, same, empty}, string(problem.MethodNotAllowed)},
	} {
		res := g.request(t, tt.method, "/-/session", "", tt.headers...)
		if res.problem.Code != tt.want {
			t.Errorf("%s: %d %s, want %q", name, res.status, res.body, tt.want)
		}
		set := res.header["Set-Cookie"]
		if tt.want != "" {
			if set != nil {
				t.Errorf("%s: Set-Cookie %q, want none", name, set)
			}
			continue
		}
		want := "__Host-flowlatch=" + text + "; Path=/; Max-Age="
		if tt.method == "DELETE" {
			want = "__Host-flowlatch=; Path=/; Max-Age=0"
		}
		if res.status != 204 || len(set) != 1 || !strings.HasPrefix(set[0], want) || !strings.HasSuffix(set[0], "; HttpOnly; Secure; SameSite=Strict") || res.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v, want the cookie", name, res.status, res.header)
		}
	}
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("requests that reached the upstream = %d, want none", n)
	}
	_, metrics := g.adminGet(t, "GET", "/metrics")
	if want := `flowlatch_browser_tokens_total{key="web",result="session"} 1` + "\n"; !strings.Contains(metrics, want) {
		t.Errorf("metrics lack %s", want)
	}
}
