package proxy_test

import (
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestAmbiguousChatflow sends requests whose chatflow could be read in two ways.
func TestAmbiguousChatflow(t *testing.T) {
	t.Parallel()
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
			res := g.request(t, tt.request[0], tt.request[1], tt.request[2], bearerOf(secretA), jsonType)
			if res.problem.Code != string(tt.code) {
				t.Errorf("response = %d %q, want %q; body %s", res.status, res.problem.Code, tt.code, res.body)
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
			res := g.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botA+`"}`, append(headers, bearerOf(secretA))...)
			if res.problem.Code != string(problem.BadRequest) {
				t.Errorf("response = %d %q, want bad_request", res.status, res.problem.Code)
			}
		})
	}
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("%d requests reached the upstream, want 0", n)
	}
}

// TestAuthorizationHeader sends the forms of the header that RFC 6750 and RFC 9110 allow, and forms that a lenient reader
// would take for them. Flowise itself takes whatever follows the last "Bearer ".
func TestAuthorizationHeader(t *testing.T) {
	t.Parallel()
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

		{"NUL in the token", []string{authorization + "Bearer " + secretA + "\x00"}, 400, byNetHTTP},
		{"carriage return in the token", []string{authorization + "Bearer " + secretA + "\rx"}, 400, byNetHTTP},
		{"space before the colon", []string{"Authorization : Bearer " + secretA}, 400, byNetHTTP},
		{"tab before the colon", []string{"Authorization\t: Bearer " + secretA}, 400, byNetHTTP},
		{"name that is no token", []string{"Authorization\u00e4: Bearer " + secretA}, 400, byNetHTTP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, nil, nil)
			res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", append(tt.headers, jsonType)...)
			r, _, n := g.upstream.last()
			switch {
			case tt.status == 200:
				if res.status != 200 || n != 1 || r.Header.Get("Authorization") != "" {
					t.Errorf("response = %d, %d requests at the upstream; want 200, 1 without Authorization", res.status, n)
				}
				return
			case tt.code == byNetHTTP:
				if res.status != 400 || res.problem.Code != "" {
					t.Errorf("response = %d %s, want 400 of net/http", res.status, res.body)
				}
			default:
				checkProblem(t, res, tt.status, tt.code)
				challenge := res.header.Get("Www-Authenticate")
				word := map[problem.Code]string{problem.InvalidKey: "invalid_token", problem.BadRequest: "invalid_request"}[tt.code]
				if !strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, word) || word == "" && strings.Contains(challenge, "error") {
					t.Errorf("WWW-Authenticate = %q, want Bearer with error %q", challenge, word)
				}
			}
			if n := g.upstream.connections.Load(); n != 0 {
				t.Errorf("connections to the upstream = %d, want 0", n)
			}
		})
	}
}

// TestKeyElsewhere sends keys in other places than the header, where they do not count. If there is one in the header as
// well, that one decides.
func TestKeyElsewhere(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	for _, query := range []string{"access_token=", "apiKey=", "api_key=", "key=", "token=", "Authorization=Bearer%20"} {
		res := g.request(t, "POST", "/api/v1/prediction/"+botA+"?"+query+secretA, "{}", jsonType)
		checkProblem(t, res, 401, problem.MissingKey)
	}
	res := g.request(t, "POST", "/api/v1/prediction/"+botA, "access_token="+secretA, "Content-Type: application/x-www-form-urlencoded")
	checkProblem(t, res, 401, problem.MissingKey)
	res = g.request(t, "POST", "/api/v1/prediction/"+botA+"?access_token="+secretA, "{}", jsonType, bearerOf(secretB))
	checkProblem(t, res, 403, problem.KeyNotForChatflow)
	if n := g.upstream.connections.Load(); n != 0 {
		t.Errorf("connections to the upstream = %d, want 0", n)
	}
	res = g.request(t, "POST", "/api/v1/prediction/"+botA+"?access_token=x", "{}", jsonType, bearerOf(secretA))
	if r, _, _ := g.upstream.last(); res.status != 200 || strings.Contains(r.RequestURI, "?") {
		t.Errorf("response = %d, at the upstream %q; want 200 and no query", res.status, r.RequestURI)
	}
}

// TestRouteIsOnlyInTheRequestLine sends headers that made other proxies authorize another request than the one they
// forwarded.
func TestRouteIsOnlyInTheRequestLine(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-URI", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Auth-Request-Redirect",
	} {
		for _, value := range []string{"/api/v1/ping", "/api/v1/prediction/" + botPublic, "/api/v1/prediction/" + botB} {
			t.Run(name+" "+value, func(t *testing.T) {
				g := newGate(t, nil, withKeys(t, keyFile+publicEntry))
				res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", jsonType, name+": "+value, "X-Forwarded-Method: GET")
				checkProblem(t, res, 401, problem.MissingKey)
				res = g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", jsonType, name+": "+value, bearerOf(secretA))
				if r, _, n := g.upstream.last(); res.status != 200 || n != 1 || r.Method+" "+r.RequestURI != "POST /api/v1/prediction/"+botA {
					t.Errorf("response = %d, at the upstream %d requests, the last %v; want 200 and the one of the request line", res.status, n, r)
				}
			})
		}
	}
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Forwarded-Method"} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, nil, nil)
			res := g.request(t, "GET", "/api/v1/prediction/"+botA, "", bearerOf(secretA), name+": POST")
			checkProblem(t, res, 405, problem.MethodNotAllowed)
			res = g.request(t, "POST", "/api/v1/webhook/"+botA, "{}", jsonType, bearerOf(secretA), name+": DELETE")
			if r, _, _ := g.upstream.last(); res.status != 200 || r.Method != "POST" || r.Header.Get(name) != "" {
				t.Errorf("response = %d, at the upstream %s with %s %q; want 200, POST and none", res.status, r.Method, name, r.Header.Get(name))
			}
		})
	}
}

// TestNoHeaderReplacesAKey sends requests that other proxies took for a health check, an internal request or a trusted
// client.
func TestNoHeaderReplacesAKey(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"User-Agent: kube-probe/1.33", "User-Agent: GoogleHC/1.0", "User-Agent: ELB-HealthChecker/2.0", "User-Agent: Flowise",
		"X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Forwarded-Host: localhost", "Origin: http://localhost:3000",
		"Referer: http://localhost:3000/", "X-Request-From: internal", "Flowise-Tool: true", "X-Flowise-Evaluation: true", "Sec-Fetch-Site: same-origin",
		"Access-Control-Request-Method: POST", "X-Forwarded-User: admin", "X-Remote-User: admin", "Remote-User: admin", "X-Consumer-Username: admin",
		"X-Gateway-Key-Id: key-a", "X-Flowlatch-Key: key-a", "Cookie: connect.sid=1; token=1",
	} {
		t.Run(header, func(t *testing.T) {
			g := newGate(t, nil, nil)
			res := g.request(t, "POST", "/api/v1/prediction/"+botA, "{}", jsonType, header)
			checkProblem(t, res, 401, problem.MissingKey)
			if n := g.upstream.connections.Load(); n != 0 {
				t.Errorf("connections to the upstream = %d, want 0", n)
			}
		})
	}
}
