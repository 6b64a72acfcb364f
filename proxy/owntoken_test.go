package proxy_test

import (
	"encoding/json"
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

// TestOwnToken asks for tokens with a key and without. A minted token is used at once.
func TestOwnToken(t *testing.T) {
	t.Parallel()
	g, secrets := browserGate(t, nil, withKeys(t, strings.Replace(browserFile, "requests: 3/1h", "requests: 100/1h", 1)))
	const (
		invalid, notFor, bad = string(problem.InvalidKey), string(problem.KeyNotForChatflow), string(problem.BadRequest)
		least                = `{"chatflow":"` + botA + `","origin":"` + pageOrigin + `"}`
	)
	with := func(more string) string { return strings.TrimSuffix(least, "}") + "," + more + "}" }
	for name, tt := range map[string]struct {
		secret  string
		body    string
		headers []string
		want    string // code; empty for a token
		ttl     time.Duration
		detail  string
	}{
		"the least":           {secretWeb, least, nil, "", time.Hour, ""},
		"everything":          {secretWeb, with(`"user":"42","ttl":600,"messages":50`), nil, "", 10 * time.Minute, ""},
		"lists":               {secretWeb, `{"chatflow":["` + botB + `","` + botA + `"],"origin":["` + pageOrigin + `","https://b.example.com"]}`, nil, "", time.Hour, ""},
		"nulls":               {secretWeb, with(`"user":null,"ttl":null,"messages":null`), nil, "", time.Hour, ""},
		"default":             {secretFree, least, nil, "", 15 * time.Minute, ""},
		"charset":             {secretWeb, least, []string{"Content-Type: application/json; charset=utf-8"}, "", time.Hour, ""},
		"groups do not count": {"secret-of-grouped-0123456789", least, nil, "", 15 * time.Minute, ""},

		"no key":               {"", least, nil, string(problem.MissingKey), 0, ""},
		"wrong key":            {"wrong-secret-0123456789", least, nil, invalid, 0, ""},
		"disabled key":         {"secret-of-off-0123456789", least, nil, invalid, 0, ""},
		"expired key":          {"secret-of-old-0123456789", least, nil, invalid, 0, ""},
		"planted key":          {"secret-of-trap-0123456789", least, nil, invalid, 0, ""},
		"a token":              {browserToken(t, secrets, nil), least, nil, invalid, 0, ""},
		"key from elsewhere":   {"secret-of-far-0123456789", least, nil, notFor, 0, ""},
		"key without browser":  {secretA, least, nil, notFor, 0, "it has no `browser:`"},
		"a page asks":          {secretWeb, least, []string{jsonType, "Origin: " + pageOrigin}, notFor, 0, "a web page must not hold an API key"},
		"a page without name":  {secretWeb, least, []string{jsonType, "Origin: null"}, notFor, 0, "a web page must not hold"},
		"chatflow of others":   {secretFree, strings.Replace(least, botA, botB, 1), nil, notFor, 0, "chatflow: this API key is not for this chatflow"},
		"unlisted chatflow":    {secretWeb, strings.Replace(least, botA, unlisted, 1), nil, notFor, 0, "chatflow:"},
		"page of others":       {secretWeb, strings.Replace(least, pageOrigin, otherOrigin, 1), nil, notFor, 0, "origin:"},
		"for too long":         {secretWeb, with(`"ttl":3601`), nil, notFor, 0, "ttl: this API key allows at most 3600 seconds"},
		"for ever":             {secretWeb, with(`"ttl":9223372036854775807`), nil, notFor, 0, "ttl:"},
		"for no time":          {secretWeb, with(`"ttl":0`), nil, bad, 0, "ttl: want whole seconds"},
		"for less":             {secretWeb, with(`"ttl":-5`), nil, bad, 0, "ttl:"},
		"time as text":         {secretWeb, with(`"ttl":"600"`), nil, bad, 0, "ttl: this is not what it should be; want {"},
		"time as a fraction":   {secretWeb, with(`"ttl":0.5`), nil, bad, 0, "ttl: this is not"},
		"no messages":          {secretWeb, with(`"messages":0`), nil, bad, 0, "messages: want a number from 1"},
		"too many messages":    {secretWeb, with(`"messages":1e9`), nil, bad, 0, "messages:"},
		"user as a number":     {secretWeb, with(`"user":42`), nil, bad, 0, "user: this is not what it should be"},
		"user too long":        {secretWeb, with(`"user":"` + strings.Repeat("x", 201) + `"`), nil, bad, 0, "user: want at most 200 bytes"},
		"chatflow as a number": {secretWeb, `{"chatflow":1,"origin":"` + pageOrigin + `"}`, nil, bad, 0, "chatflow: this is not"},
		"member that is not":   {secretWeb, with(`"allow":["uploads"]`), nil, bad, 0, "a member is not known; want {"},
		"member in capitals":   {secretWeb, strings.Replace(least, "chatflow", "Chatflow", 1), nil, bad, 0, "a member is not known"},
		"member twice":         {secretWeb, with(`"chatflow":"` + botA + `"`), nil, bad, 0, "want {"},
		"nothing":              {secretWeb, `{}`, nil, bad, 0, "chatflow: want the ID of a chatflow, or up to 16; origin: want the origin"},
		"no JSON":              {secretWeb, `chatflow=x`, nil, bad, 0, "want {"},
		"something after":      {secretWeb, least + least, nil, bad, 0, "want {"},
		"a form":               {secretWeb, least, []string{"Content-Type: application/x-www-form-urlencoded"}, bad, 0, "as application/json"},
		"compressed":           {secretWeb, least, []string{jsonType, "Content-Encoding: gzip"}, bad, 0, "want {"},
		"no type":              {secretWeb, least, []string{"Accept: */*"}, bad, 0, "as application/json"},
		"too large":            {secretWeb, with(`"user":"` + strings.Repeat("x", 9000) + `"`), nil, string(problem.BodyTooLarge), 0, ""},
		"more than fits":       {secretWeb, `{"chatflow":["` + strings.Repeat(botA+`","`, 15) + botA + `"],"origin":"` + pageOrigin + `","user":"` + strings.Repeat("ÿ", 100) + `"}`, nil, bad, 0, "name fewer chatflows or origins"},
	} {
		headers := tt.headers
		if headers == nil {
			headers = []string{jsonType}
		}
		if tt.secret != "" {
			headers = append(headers, bearerOf(tt.secret))
		}
		begun := time.Now()
		res := g.request(t, "POST", "/-/token", tt.body, headers...)
		if tt.want != "" {
			if res.problem.Code != tt.want || !strings.Contains(res.problem.Detail, tt.detail) {
				t.Errorf("%s: %d %s, want %s %q", name, res.status, res.body, tt.want, tt.detail)
			}
			continue
		}
		var got struct {
			Token     string `json:"token"`
			ExpiresAt int64  `json:"expires_at"`
		}
		if err := json.Unmarshal([]byte(res.body), &got); err != nil || res.status != 200 {
			t.Errorf("%s: %d %s, want a token", name, res.status, res.body)
			continue
		}
		if h := res.header; h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: header %v, want JSON that is not stored", name, h)
		}
		if end := time.Unix(got.ExpiresAt, 0); end.Before(begun.Add(tt.ttl-time.Second)) || end.After(time.Now().Add(tt.ttl)) {
			t.Errorf("%s: expires at %v, want %v after %v", name, end, tt.ttl, begun)
		}
		path, code := "/api/v1/prediction/"+botA, ""
		if tt.secret == "secret-of-grouped-0123456789" {
			code = notFor
		}
		if res := g.request(t, "POST", path, `{"question":"x"}`, bearerOf(got.Token), "Origin: "+pageOrigin, jsonType); res.problem.Code != code {
			t.Errorf("%s: a request with what was minted = %d %s, want %q", name, res.status, res.body, code)
		}
	}
	_, metrics := g.adminGet(t, "GET", "/metrics")
	for _, want := range []string{`flowlatch_browser_tokens_total{key="web",result="minted"} 5`, `flowlatch_browser_tokens_total{key="plain",result="denied"} 1`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// TestOwnTokenSays checks what a minted token says to the holder of the gate's secret.
func TestOwnTokenSays(t *testing.T) {
	t.Parallel()
	g, secrets := browserGate(t, nil, nil)
	res := g.request(t, "POST", "/-/token", `{"chatflow":"`+botA+`","origin":"`+pageOrigin+`","user":"42","ttl":600,"messages":50}`, bearerOf(secretWeb), jsonType)
	var got struct{ Token string }
	if err := json.Unmarshal([]byte(res.body), &got); err != nil {
		t.Fatal(err)
	}
	tok, err := secrets.Verify(got.Token, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(tok.Key, tok.Chatflows, tok.Origins, tok.User, tok.Messages, tok.Life()) != fmt.Sprint("web", []string{botA}, []string{pageOrigin}, "42", 50, 10*time.Minute) || tok.ID == "" {
		t.Errorf("token = %+v, want what was asked for", tok)
	}
	testkit.Eventually(t, "a use of the key", func() bool { return !g.proxy.Stats().KeyUse("web").LastUsed.IsZero() })
	if strings.Contains(g.log.String(), got.Token) {
		t.Error("the log has the token")
	}
}

// TestOwnTokenFailures: clients that try keys here are slowed down as anywhere else.
func TestOwnTokenFailures(t *testing.T) {
	t.Parallel()
	g, _ := browserGate(t, nil, func(o *proxy.Options) { o.FailureLimit = proxy.FailureLimit{Burst: 3, Per: time.Hour} })
	for _, path := range []string{"/-/token", "/-/session"} {
		for n := range 3 {
			res := g.request(t, "POST", path, `{}`, bearerOf("wrong-secret-0123456789"), jsonType, "Sec-Fetch-Site: same-origin")
			t.Log(path, n, res.status)
		}
	}
	res := g.request(t, "POST", "/-/token", `{}`, bearerOf("wrong-secret-0123456789"), jsonType)
	checkProblem(t, res, http.StatusTooManyRequests, problem.TooManyFailures)
	if res := g.request(t, "POST", "/-/token", `{"chatflow":"`+botA+`","origin":"`+pageOrigin+`"}`, bearerOf(secretWeb), jsonType); res.status != 200 {
		t.Errorf("a request with a valid key = %d %s, want it served", res.status, res.body)
	}
}

// TestRandomSecrets: without a file of secrets, each gate has its own and accepts no tokens of another gate.
func TestRandomSecrets(t *testing.T) {
	t.Parallel()
	mint := func(g *gate) string {
		t.Helper()
		res := g.request(t, "POST", "/-/token", `{"chatflow":"`+botA+`","origin":"`+pageOrigin+`"}`, bearerOf(secretWeb), jsonType)
		var got struct{ Token string }
		if err := json.Unmarshal([]byte(res.body), &got); err != nil {
			t.Fatal(err)
		}
		return got.Token
	}
	one, _ := browserGate(t, nil, func(o *proxy.Options) { o.Tokens = nil })
	other, _ := browserGate(t, nil, func(o *proxy.Options) { o.Tokens = token.Random() })
	for _, tt := range []struct {
		minter, verifier *gate
		want             int
	}{{one, one, 200}, {other, other, 200}, {one, other, 401}, {other, one, 401}} {
		if res := tt.verifier.predict(t, botA, mint(tt.minter), "Origin: "+pageOrigin); res.status != tt.want {
			t.Errorf("a token at a gate = %d %s, want %d", res.status, res.body, tt.want)
		}
	}
}
