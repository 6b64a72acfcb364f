package proxy_test

import (
	"cmp"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// TestBadTargets sends each class with a valid key and without. The response is the documented one, repeats nothing of
// the target and leads nowhere, and the gate does not even connect to the upstream.
func TestBadTargets(t *testing.T) {
	t.Parallel()
	for _, tt := range badTargets {
		t.Run(tt.class, func(t *testing.T) {
			method := cmp.Or(tt.method, http.MethodPost)
			g := newGate(t, nil, nil)
			for _, target := range tt.targets {
				for name, headers := range map[string][]string{
					"no key": {}, "the chatflow's key": {bearerOf(secretA)}, "a key for all": {bearerOf(secretOps)},
				} {
					res := g.request(t, method, target, "", headers...)
					if fault := refusedTarget(res, tt.code, target); fault != "" {
						t.Errorf("%s %.200q with %s: %s", method, target, name, fault)
					}
				}
			}
			if n := g.upstream.connections.Load(); n != 0 {
				t.Errorf("connections to the upstream = %d, want 0", n)
			}
		})
	}
}

// refusedTarget returns what is wrong with the response to a bad target, or "".
func refusedTarget(res *response, code problem.Code, target string) string {
	status := map[problem.Code]int{problem.NotExposed: 404, problem.MethodNotAllowed: 405}[code]
	if res.status != cmp.Or(status, 400) {
		return fmt.Sprintf("status = %d, want %d; %s", res.status, cmp.Or(status, 400), res.body)
	}
	header, body := res.headerText(), res.body
	switch {
	case code == byNetHTTP && (res.problem.Code != "" || res.header.Get("Content-Type") != "text/plain; charset=utf-8"):
		return "the gate responds, want net/http to: " + header + body
	case code != byNetHTTP && res.header.Get("X-Request-Id") == "":
		return "the response has no request ID: " + header
	case code != byNetHTTP && body != "" && res.problem.Code != string(code): // a response to HEAD has none
		return fmt.Sprintf("code = %q, want %q", res.problem.Code, code)
	case res.header.Get("Location") != "" || res.header.Get("Refresh") != "" || res.header.Get("Content-Location") != "":
		return "the response leads elsewhere: " + header
	}
	// What is in every response, whatever the request, is not an echo.
	text := strings.ReplaceAll(strings.ToLower(header+body), problemTypes, "")
	decoded := strings.ReplaceAll(target, "%", "%25")
	if d, err := url.PathUnescape(target); err == nil {
		decoded = d
	}
	for _, form := range []string{target, decoded, html.UnescapeString(target)} {
		for _, word := range strings.FieldsFunc(strings.ToLower(form), func(r rune) bool { return strings.ContainsRune("/?#;\\&= %", r) }) {
			if len(word) > 3 && strings.Contains(text, word) {
				return fmt.Sprintf("the response repeats %q: %s", word, text)
			}
		}
	}
	return ""
}

const problemTypes = "https://github.com/flowlatch/flowlatch/blob/main/docs/errors.md#"
