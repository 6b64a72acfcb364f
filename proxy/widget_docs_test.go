package proxy_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// attempt is a request, and the status of its response.
type attempt struct {
	path    string
	body    string
	headers []string
	want    int
}

// TestWhatStopsWhom tries the rows of the table "What stops whom" in docs/widget.md: what is stopped, and, in the same
// row, what is not. test/e2e checks that browsers set headers and keep cookies as the table says.
func TestWhatStopsWhom(t *testing.T) {
	t.Parallel()
	_, secrets := browserOptions(t, nil)
	const (
		predict, question = "/chat/api/v1/prediction/" + botA, `{"question":"hello"}`
		page, evil        = "Origin: " + pageOrigin, "Origin: https://evil.example"
		same, site, empty = "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-site", "Sec-Fetch-Dest: empty"
	)
	token1 := browserToken(t, secrets, nil)
	cookie, bearer := cookieOf(token1), bearerOf(token1)
	ask := func(want int, headers ...string) attempt {
		return attempt{predict, question, append(headers, jsonType), want}
	}
	another := func(user string) string {
		return bearerOf(browserToken(t, secrets, func(tok *token.Token) { tok.User = user }))
	}
	say := func(want int, body string) attempt { // each with another user, because bodies that are refused count, too
		return attempt{predict, body, []string{another(body), page, jsonType}, want}
	}
	expired := browserToken(t, secrets, func(tok *token.Token) {
		tok.Issued, tok.Expires = tok.Issued.Add(-time.Hour), tok.Issued.Add(-time.Minute)
	})
	last := browserToken(t, secrets, func(tok *token.Token) { tok.Messages, tok.User = 1, "messages" })
	rows := map[string][]attempt{
		"a visitor who is not signed in":                        {ask(401, same, empty, page)},
		"another site, with a visitor's cookie":                 {ask(401, cookie, site, empty, evil), ask(401, cookie, same, empty, evil), ask(200, cookie, same, empty, page)},
		"another site, with a token that it got hold of":        {ask(403, bearer, evil), ask(403, bearer, "Origin: null"), ask(200, bearer, page)},
		"a stolen token":                                        {ask(401, bearerOf(expired), page), ask(200, bearer, page), ask(401, bearerOf(browserToken(t, secrets, of("off"))), page)},
		"a scraper with many accounts":                          {ask(200, another("1"), page), ask(200, another("2"), page), ask(200, another("3"), page), ask(200, another("4"), page), ask(429, another("5"), page)},
		"whoever signs in next at the same browser":             {ask(200, cookie, same, empty, page), ask(401, same, empty, page)}, // with the cookie and without
		"a site that shows your page in a frame":                {ask(401, same, empty, page)},
		"a script in your page (XSS, advertisement, extension)": {ask(200, cookie, same, empty, page)},
		"whoever listens to plain http":                         {ask(401, cookie, page), ask(401, cookie, empty, page)},
		"whoever reads the key file":                            {ask(401, bearerOf(signedBy([]byte(browserFile), goodHeader, goodClaims())), page)},
		"a visitor's own script": {
			say(200, question), say(403, `{"question":"x","overrideConfig":{}}`), say(403, `{"question":"x","uploads":[]}`), say(403, `{"question":"x","history":[]}`),
			{"/chat/api/v1/prediction/" + botB, question, []string{bearer, page, jsonType}, 403},
			{"/chat/api/v1/vector/upsert/" + botA, "{}", []string{bearer, page, jsonType}, 403},
			{"/chat/-/token", `{"chatflow":"` + botA + `","origin":"` + pageOrigin + `"}`, []string{bearer, jsonType}, 401},
			ask(200, another("eager"), page), ask(200, another("eager"), page), ask(200, another("eager"), page), ask(429, another("eager"), page), // per_user
			ask(200, bearerOf(last), page), ask(429, bearerOf(last), page), // messages
		},
	}
	text, err := os.ReadFile("../docs/widget.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "### What stops whom")
	table, _, _ = strings.Cut(table, "\n## ")
	var documented []string
	for _, m := range regexp.MustCompile(`(?m)^\| (a .*?|an.*?|whoever .*?) \|`).FindAllStringSubmatch(table, -1) {
		documented = append(documented, m[1])
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(documented)), slices.Sorted(maps.Keys(rows))); diff != "" {
		t.Errorf("rows (-in docs/widget.md +tried here):\n%s", diff)
	}
	for row, attempts := range rows {
		t.Run(row, func(t *testing.T) {
			t.Parallel()
			g, _ := browserGate(t, nil, func(o *proxy.Options) {
				o.PublicURL, o.PathPrefix = mustURL(t, pageOrigin), "/chat"
				if strings.HasPrefix(row, "a scraper") { // the key has limits, too
					withKeys(t, strings.Replace(browserFile, "    secret: "+secretWeb, "    limits: {requests: 4/1h}\n    secret: "+secretWeb, 1))(o)
				}
			})
			for i, a := range attempts {
				if res := g.request(t, "POST", a.path, a.body, a.headers...); res.status != a.want {
					t.Errorf("attempt %d: POST %s %s with %.200q = %d %s, want %d", i+1, a.path, a.body, a.headers, res.status, res.body, a.want)
				}
			}
		})
	}
}
