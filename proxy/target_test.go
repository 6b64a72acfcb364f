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

// TestBadTargets sends each class with a valid key and without one: the answer is the contract's, says
// nothing of what was sent, leads nowhere, and the runner is not even connected to.
func TestBadTargets(t *testing.T) {
	for _, tt := range badTargets {
		t.Run(tt.class, func(t *testing.T) {
			method := cmp.Or(tt.method, http.MethodPost)
			g := newGate(t, nil, nil)
			for _, target := range tt.targets {
				for name, headers := range map[string][]string{
					"no key": {}, "the chatflow's key": {bearerOf(secretA)}, "a key for all": {bearerOf(secretOps)},
				} {
					a := g.request(t, method, target, "", headers...)
					if fault := refusedTarget(a, tt.code, target); fault != "" {
						t.Errorf("%s %.200q with %s: %s", method, target, name, fault)
					}
				}
			}
			if n := g.runner.connections.Load(); n != 0 {
				t.Errorf("connections to the runner = %d, want 0", n)
			}
		})
	}
}

// refusedTarget says what is wrong with the answer to a bad target, or nothing.
func refusedTarget(a *answer, code problem.Code, target string) string {
	status := map[problem.Code]int{problem.NotExposed: 404, problem.MethodNotAllowed: 405}[code]
	if a.status != cmp.Or(status, 400) {
		return fmt.Sprintf("status = %d, want %d; %s", a.status, cmp.Or(status, 400), a.body)
	}
	head, body := a.head(), a.body
	switch {
	case code == ownAnswer && (a.problem.Code != "" || a.header.Get("Content-Type") != "text/plain; charset=utf-8"):
		return "the gate answers, want net/http to: " + head + body
	case code != ownAnswer && a.header.Get("X-Request-Id") == "":
		return "the answer has no request ID: " + head
	case code != ownAnswer && body != "" && a.problem.Code != string(code): // none for HEAD
		return fmt.Sprintf("code = %q, want %q", a.problem.Code, code)
	case a.header.Get("Location") != "" || a.header.Get("Refresh") != "" || a.header.Get("Content-Location") != "":
		return "the answer leads elsewhere: " + head
	}
	// What stands in every answer, wherever it was sent to, is no echo.
	text := strings.ReplaceAll(strings.ToLower(head+body), problemTypes, "")
	decoded := strings.ReplaceAll(target, "%", "%25")
	if d, err := url.PathUnescape(target); err == nil {
		decoded = d
	}
	for _, form := range []string{target, decoded, html.UnescapeString(target)} {
		for _, word := range strings.FieldsFunc(strings.ToLower(form), func(r rune) bool { return strings.ContainsRune("/?#;\\&= %", r) }) {
			if len(word) > 3 && strings.Contains(text, word) {
				return fmt.Sprintf("the answer repeats %q: %s", word, text)
			}
		}
	}
	return ""
}

const problemTypes = "https://github.com/flowlatch/flowlatch/blob/main/docs/errors.md#"
