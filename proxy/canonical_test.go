package proxy

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

func TestCanonical(t *testing.T) {
	id := "3f1c2a9e-1111-4222-8333-444455556666"
	accepted := map[string][2]string{
		"/":                             {"/", ""},
		"/api/v1/prediction/" + id:      {"/api/v1/prediction/" + id, ""},
		"/api/v1/leads/":                {"/api/v1/leads/", ""},
		"/a?b=c":                        {"/a", "b=c"},
		"/a?b=/../%2e%2e/?c":            {"/a", "b=/../%2e%2e/?c"}, // the query decides nothing about the path
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
		if path, _, err := canonical(target); err == nil || err.Code != CodeNotCanonical {
			t.Errorf("canonical(%q) = %q, %v, want not_canonical", target, path, err)
		}
	}
}

// FuzzCanonical: what is accepted has the one form, and comes out as it went in.
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

// FuzzParseCall: whatever a caller sends, what would be forwarded has the form of its route, and a
// route that needs a chatflow has one.
func FuzzParseCall(f *testing.F) {
	id := "3f1c2a9e-1111-4222-8333-444455556666"
	f.Add("POST", "/api/v1/prediction/"+id, "Bearer x")
	f.Add("GET", "/api/v1/get-upload-file?chatflowId="+id+"&chatId=c&fileName=f", "")
	f.Add("PUT", "/api/v1/chatmessage/abort/"+id+"/c?a=b", "bearer  x")
	f.Add("DELETE", "/api/v1/webhook/"+id+"?a=%3Cx%3E&a", "Bearer x, Bearer y")
	f.Add("GET", "/api/v1/node-icon/chatOpenAI", "Basic x")
	routes, err := newTable(Flowise().Routes)
	if err != nil {
		f.Fatal(err)
	}
	target := regexp.MustCompile(`^/api/v1(/[A-Za-z0-9._~-]+)+$`)
	query := regexp.MustCompile(`^[A-Za-z0-9._~%=&-]*$`)
	f.Fuzz(func(t *testing.T, method, raw, authorization string) {
		c, err := routes.parseCall(method, raw, http.Header{"Authorization": {authorization}})
		if err != nil {
			return
		}
		if !target.MatchString(c.path) || !query.MatchString(c.query) {
			t.Errorf("%s %q would be forwarded as %q ? %q", method, raw, c.path, c.query)
		}
		needsID := c.route.Access != Public && c.route.Access != AnyKey && c.route.Body == ""
		if needsID && !UUID.MatchString(c.chatflow) {
			t.Errorf("%s %q: chatflow %q", method, raw, c.chatflow)
		}
		if c.chatflow != "" && !strings.Contains(c.path+"?"+c.query, c.chatflow) {
			t.Errorf("%s %q is for chatflow %s and would be forwarded as %q ? %q", method, raw, c.chatflow, c.path, c.query)
		}
		if c.bearer.token != "" && !keystore.IsToken(c.bearer.token) {
			t.Errorf("token %q of %q", c.bearer.token, authorization)
		}
	})
}
