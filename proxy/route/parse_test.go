package route

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

const botID = "3f1c2a9e-1111-4222-8333-444455556666"

// requestTo returns a request as net/http would pass it on.
func requestTo(method, target string, h http.Header) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil { // net/http would have refused it
		u = &url.URL{}
	}
	return &http.Request{Method: method, RequestURI: target, URL: u, Header: h, ProtoMajor: 1, ProtoMinor: 1}
}

// FuzzParse: whatever a client sends, what would be forwarded has the form of its route, and has a chatflow if the route
// needs one. The same holds for what follows a prefix.
func FuzzParse(f *testing.F) {
	f.Add("POST", "/api/v1/prediction/"+botID, "Bearer x")
	f.Add("GET", "/api/v1/get-upload-file?chatflowId="+botID+"&chatId=c&fileName=f", "")
	f.Add("PUT", "/api/v1/chatmessage/abort/"+botID+"/c?a=b", "bearer  x")
	f.Add("DELETE", "/api/v1/webhook/"+botID+"?a=%3Cx%3E&a", "Bearer x, Bearer y")
	f.Add("GET", "/api/v1/node-icon/chatOpenAI", "Basic x")
	f.Add("POST", "/api/v1/leads/", "")
	f.Add("POST", "http://gate/api/v1/prediction/"+botID, "")
	f.Add("CONNECT", "http://a@b/api/v1/webhook/"+botID+"?http://c/", "")
	table, err := NewTable(Flowise().Routes)
	if err != nil {
		f.Fatal(err)
	}
	below, err := NewTable(Flowise().Routes)
	if err != nil {
		f.Fatal(err)
	}
	below.Prefix = "/chat"
	f.Add("POST", "/chat/api/v1/prediction/"+botID, "Bearer x")
	f.Add("POST", "http://gate/chat/api/v1/leads", "")
	target := regexp.MustCompile(`^/api/v1(/[A-Za-z0-9._~-]+)+$`)
	query := regexp.MustCompile(`^[A-Za-z0-9._~%=&-]*$`)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	f.Fuzz(func(t *testing.T, method, raw, authorization string) {
		header := http.Header{"Authorization": {authorization}}
		q, refusal := table.Parse(requestTo(method, raw, header))
		if b, _ := below.Parse(requestTo(method, raw, header)); b.Path != "" { // then table accepts the path without the prefix, and not this one
			one := strings.Replace(raw, "/chat/", "/", 1)
			same, _ := table.Parse(requestTo(method, one, header))
			if !strings.Contains(raw, "/chat/api/v1/") || b.Path != same.Path || b.Query != same.Query || q.Path != "" {
				t.Errorf("%s %q below a prefix would be forwarded as %q ? %q, %q as %q ? %q", method, raw, b.Path, b.Query, one, same.Path, same.Query)
			}
		}
		if refusal != nil {
			return
		}
		if !target.MatchString(q.Path) || !query.MatchString(q.Query) {
			t.Errorf("%s %q would be forwarded as %q ? %q", method, raw, q.Path, q.Query)
		}
		needsID := q.Route.Access != Public && q.Route.Access != AnyKey && q.Route.Body == ""
		if needsID && !uuid.MatchString(q.Chatflow) {
			t.Errorf("%s %q: chatflow %q", method, raw, q.Chatflow)
		}
		if q.Chatflow != "" && !strings.Contains(q.Path+"?"+q.Query, q.Chatflow) {
			t.Errorf("%s %q is for chatflow %s and would be forwarded as %q ? %q", method, raw, q.Chatflow, q.Path, q.Query)
		}
		if q.Bearer.Token != "" && !keystore.IsToken(q.Bearer.Token) {
			t.Errorf("token %q of %q", q.Bearer.Token, authorization)
		}
	})
}

// TestFind looks up paths that several templates match, and paths that none does.
func TestFind(t *testing.T) {
	table, err := NewTable([]*Route{
		{Group: "g", Name: "any", Methods: []string{"*"}, Path: "/a/{chatflow}"},
		{Group: "g", Name: "literal", Methods: []string{"POST"}, Path: "/a/b"},
		{Group: "g", Name: "get", Methods: []string{"GET"}, Path: "/f/{chatflow}"},
		{Group: "g", Name: "put", Methods: []string{"PUT"}, Path: "/f/{id}"},
		{Group: "g", Name: "deep", Methods: []string{"GET"}, Path: "/f/{chatflow}/x/{y}", Alternatives: []string{"/x/{y}/f/{chatflow}"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ method, path, route, upstream, methods string }{
		{"POST", "/a/b", "literal", "/a/b", "POST"},
		{"GET", "/a/b", "", "", "POST"}, // the literal wins, whatever the method
		{"GET", "/a/c", "any", "/a/c", "DELETE GET HEAD PATCH POST PUT"},
		{"OPTIONS", "/a/c", "", "", "DELETE GET HEAD PATCH POST PUT"},
		{"get", "/a/c", "", "", "DELETE GET HEAD PATCH POST PUT"},
		{"", "/f/1", "", "", "GET HEAD PUT"},
		{"GET", "/f/1", "get", "/f/1", "GET HEAD PUT"},
		{"HEAD", "/f/1", "get", "/f/1", "GET HEAD PUT"},
		{"HEAD", "/a/c", "any", "/a/c", "DELETE GET HEAD PATCH POST PUT"},
		{"HEAD", "/a/b", "", "", "POST"},
		{"PUT", "/f/1", "put", "/f/1", "GET HEAD PUT"},
		{"POST", "/f/1", "", "", "GET HEAD PUT"},
		{"GET", "/f/1/x/2", "deep", "/f/1/x/2", "GET HEAD"},
		{"GET", "/x/2/f/1", "deep", "/f/1/x/2", "GET HEAD"},
		{"GET", "/f/1/x/", "", "", ""},
		{"GET", "/f/1/x", "", "", ""},
		{"GET", "/f/1/", "", "", ""},
		{"GET", "/f/", "", "", ""},
		{"GET", "/F/1", "", "", ""},
		{"GET", "/", "", "", ""},
	} {
		r, variables := table.Find(requestTo(tt.method, tt.path, nil))
		name, upstream := "", ""
		if r != nil {
			name, upstream = r.Label(), r.build(variables)
		}
		if name != tt.route || upstream != tt.upstream {
			t.Errorf("Find(%s, %q) = %q, sent upstream as %q, want %q, %q", tt.method, tt.path, name, upstream, tt.route, tt.upstream)
		}
		if got := table.Methods(requestTo("", tt.path, nil)); !slices.Equal(got, strings.Fields(tt.methods)) {
			t.Errorf("Methods(%q) = %q, want %q", tt.path, got, tt.methods)
		}
	}
}

// TestLookupsAllocateLittle bounds the garbage that parsing a request makes.
func TestLookupsAllocateLittle(t *testing.T) {
	table, err := NewTable(Flowise().Routes)
	if err != nil {
		t.Fatal(err)
	}
	r := requestTo(http.MethodPost, "/api/v1/prediction/"+botID, http.Header{"Authorization": {"Bearer fl_x"}})
	if got := testing.AllocsPerRun(100, func() { _, _, _ = canonical(r.RequestURI) }); got > 0 {
		t.Errorf("canonical makes %v allocations, want none", got)
	}
	if got := testing.AllocsPerRun(100, func() { _, _ = table.Parse(r) }); got > 12 {
		t.Errorf("Parse makes %v allocations, want at most 12", got)
	}
}

// TestContentLengthInHTTP2 compares Content-Length headers with what net/http makes of them.
func TestContentLengthInHTTP2(t *testing.T) {
	table, err := NewTable(Flowise().Routes)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		header []string
		length int64
		want   problem.Code
	}{
		{nil, -1, ""},
		{nil, 0, ""},
		{[]string{"5"}, 5, ""},
		{[]string{"5"}, 0, problem.BadRequest},
		{[]string{"5", "5"}, 5, problem.BadRequest},
		{[]string{"05"}, 5, problem.BadRequest},
		{[]string{"x"}, 0, problem.BadRequest},
	} {
		r := requestTo(http.MethodPost, "/api/v1/prediction/"+botID, http.Header{"Content-Length": tt.header})
		r.ProtoMajor, r.ContentLength = 2, tt.length
		if tt.header == nil {
			delete(r.Header, "Content-Length")
		}
		var got problem.Code
		if _, refusal := table.Parse(r); refusal != nil {
			got = refusal.Code
		}
		if got != tt.want {
			t.Errorf("Parse with Content-Length %q, a body of %d = %q, want %q", tt.header, tt.length, got, tt.want)
		}
	}
}
