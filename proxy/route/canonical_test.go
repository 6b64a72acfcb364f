package route

import (
	"regexp"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

func TestCanonical(t *testing.T) {
	id := "3f1c2a9e-1111-4222-8333-444455556666"
	accepted := map[string][2]string{
		"/":                             {"/", ""},
		"/api/v1/prediction/" + id:      {"/api/v1/prediction/" + id, ""},
		"/api/v1/leads/":                {"/api/v1/leads/", ""},
		"/a?b=c":                        {"/a", "b=c"},
		"/a?b=/../%2e%2e/?c":            {"/a", "b=/../%2e%2e/?c"}, // the rules for paths do not apply to the query
		"/a?":                           {"/a", ""},
		"/...":                          {"/...", ""},
		"/.well-known/a~b_c":            {"/.well-known/a~b_c", ""},
		"/" + strings.Repeat("a", 1000): {"/" + strings.Repeat("a", 1000), ""},
	}
	for target, want := range accepted {
		if path, query, err := canonical(target); err != nil || path != want[0] || query != want[1] {
			t.Errorf("canonical(%q) = %q, %q, %v, want %q, %q", target, path, query, err, want[0], want[1])
		}
	}
	refused := []string{
		"", "*", "api/v1/ping", "http://gate/api/v1/ping", "HTTP://gate//x", "gate:443", "x:/api", "?a", "//api/v1/ping", "/api//v1",
		"/a/./b", "/a/../b", "/a/..", "/a/.", "/..", "/%2e%2e/a", "/a/.%2e/b", "/a%2fb", "/a%2Fb", "/a%5cb", `/a\b`, "/%252e", "/%70rediction",
		"/a%00", "/a%0a", "/%c0%af", "/a;b", "/a#b", "/a%23b", "/<x>", "/%3Cx%3E", "/&#112;", "/&sol;", "/a b", "/a\tb", "/a\x00b", "/a\x7fb", "/ä",
		"/a+b", "/a@b", "/a:b", "/a,b", "/a=b", "/{a}", "/a|b", "/a'b", `/a"b`, "/a*b", "/a!b", "/a$b", "/a(b)", "/a^b", "/a`b",
		"/a?b#c", "/a?b c", "/a?b\x00", "/a?ü", "/" + strings.Repeat("a", 1024),
	}
	for _, target := range refused {
		if path, _, err := canonical(target); err == nil || err.Code != problem.NotCanonical {
			t.Errorf("canonical(%q) = %q, %v, want not_canonical", target, path, err)
		}
	}
}

// FuzzCanonical: whatever is accepted has the canonical form, and is returned unchanged.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "/a//b", "/a/../b", "/%61", "/a?b", "*", "http://x/a", "/a/", "/.", "/a;b", "/a?b#c"} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*/?$`)
	dots := regexp.MustCompile(`(^|/)\.\.?(/|$)`)
	f.Fuzz(func(t *testing.T, target string) {
		path, query, err := canonical(target)
		if err != nil {
			return
		}
		if !form.MatchString(path) || path == "" || dots.MatchString(path) {
			t.Errorf("canonical(%q) accepts %q", target, path)
		}
		if target != path && target != path+"?"+query {
			t.Errorf("canonical(%q) = %q, %q: something was changed", target, path, query)
		}
	})
}
