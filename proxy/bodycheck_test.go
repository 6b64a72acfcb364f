package proxy_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

const (
	botLimited  = "00000000-0000-4000-8000-00000000000c" // denies members
	botJSONOnly = "00000000-0000-4000-8000-00000000000d"
)

const limitedKeys = keyFile + `  - {id: ` + botLimited + `, keys: [key-a], body: {deny: [overrideConfig, uploads]}}
  - {id: ` + botJSONOnly + `, keys: [key-a], body: {json_only: true}}
`

// TestBodyPolicy sends bodies that a chatflow's `body:` allows, and bodies that it does not. Those that it allows must
// reach the upstream byte for byte.
func TestBodyPolicy(t *testing.T) {
	t.Parallel()
	const (
		limited  = "POST /api/v1/prediction/" + botLimited
		jsonOnly = "POST /api/v1/prediction/" + botJSONOnly
		free     = "POST /api/v1/prediction/" + botA
		form     = "Content-Type: application/x-www-form-urlencoded"
		denied   = `{"question":"x","overrideConfig":{"systemMessage":"y"}}`
	)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(denied))
	_ = z.Close()
	tests := map[string]struct {
		request, body string
		headers       []string
		code          problem.Code // empty if it passes
	}{
		"plain":                       {limited, `{"question":"x"}`, []string{jsonType}, ""},
		"odd but plain":               {limited, "\r\n {\"question\" : \"overrideConfig\", \"history\":[{\"uploads\":1}],\"\":null}\n", []string{jsonType}, ""},
		"identity is no encoding":     {limited, `{}`, []string{jsonType, "Content-Encoding: identity"}, ""},
		"charset":                     {limited, `{}`, []string{"Content-Type: Application/JSON; charset=UTF-8"}, ""},
		"no body":                     {limited, ``, nil, ""},
		"denied member":               {limited, denied, []string{jsonType}, problem.FieldNotAllowed},
		"denied, the second":          {limited, `{"uploads":[]}`, []string{jsonType}, problem.FieldNotAllowed},
		"denied, null":                {limited, `{"uploads":null}`, []string{jsonType}, problem.FieldNotAllowed},
		"denied, escaped":             {limited, `{"\u006fverrideConfig":{}}`, []string{jsonType}, problem.FieldNotAllowed},
		"denied, another case":        {limited, `{"OverrideConfig":{}}`, []string{jsonType}, problem.FieldNotAllowed},
		"denied, as multer names it":  {limited, `{"overrideConfig[x]":1}`, []string{jsonType}, ""},
		"denied, the last of many":    {limited, manyMembers(5000) + `"uploads":1}`, []string{jsonType}, problem.FieldNotAllowed},
		"denied, twice":               {limited, `{"a":1,"uploads":1,"uploads":2}`, []string{jsonType}, problem.FieldNotAllowed},
		"prototype":                   {limited, `{"__proto__":{"overrideConfig":{}}}`, []string{jsonType}, problem.FieldNotAllowed},
		"an array":                    {limited, `[` + denied + `]`, []string{jsonType}, problem.BadRequest},
		"a string":                    {limited, `"overrideConfig"`, []string{jsonType}, problem.BadRequest},
		"two objects":                 {limited, `{}` + denied, []string{jsonType}, problem.BadRequest},
		"no JSON":                     {limited, `{"question":`, []string{jsonType}, problem.BadRequest},
		"byte order mark":             {limited, "\ufeff" + denied, []string{jsonType}, problem.BadRequest},
		"not UTF-8":                   {limited, "{\"a\":\"\xff\"}", []string{jsonType}, problem.BadRequest},
		"UTF-16 by its charset":       {limited, denied, []string{"Content-Type: application/json; charset=utf-16le"}, problem.UnsupportedMediaType},
		"compressed":                  {limited, zipped.String(), []string{jsonType, "Content-Encoding: gzip"}, problem.UnsupportedMediaType},
		"compressed, it says":         {limited, denied, []string{jsonType, "Content-Encoding: identity, deflate"}, problem.UnsupportedMediaType},
		"two encodings":               {limited, denied, []string{jsonType, "Content-Encoding: identity", "Content-Encoding: gzip"}, problem.UnsupportedMediaType},
		"form":                        {limited, `overrideConfig[systemMessage]=y`, []string{form}, problem.UnsupportedMediaType},
		"multipart":                   {limited, "--x\r\nContent-Disposition: form-data; name=\"systemMessage\"\r\n\r\ny\r\n--x--\r\n", []string{"Content-Type: multipart/form-data; boundary=x"}, problem.UnsupportedMediaType},
		"no type":                     {limited, denied, nil, problem.UnsupportedMediaType},
		"two types":                   {limited, denied, []string{"Content-Type: text/plain", jsonType}, problem.UnsupportedMediaType},
		"type with two charsets":      {limited, denied, []string{"Content-Type: application/json; charset=utf-8; charset=utf-16"}, problem.UnsupportedMediaType},
		"larger than is checked":      {limited, `{"question":"` + strings.Repeat("x", 1<<20) + `"}`, []string{jsonType}, problem.BodyTooLarge},
		"attachments":                 {"POST /api/v1/attachments/" + botLimited + "/c1", "--x--", []string{"Content-Type: multipart/form-data; boundary=x"}, problem.UnsupportedMediaType},
		"upsert":                      {"POST /api/v1/vector/upsert/" + botLimited, denied, []string{jsonType}, problem.FieldNotAllowed},
		"chatflow named in the body":  {"POST /api/v1/leads", `{"chatflowid":"` + botLimited + `","uploads":[]}`, []string{jsonType}, problem.FieldNotAllowed},
		"the same, allowed":           {"POST /api/v1/leads", `{"chatflowid":"` + botLimited + `"}`, []string{jsonType}, ""},
		"JSON only":                   {jsonOnly, denied, []string{jsonType}, ""},
		"JSON only, not looked into":  {jsonOnly, `{"question":`, []string{jsonType}, ""},
		"JSON only, form":             {jsonOnly, `question=x`, []string{form}, problem.UnsupportedMediaType},
		"JSON only, compressed":       {jsonOnly, zipped.String(), []string{jsonType, "Content-Encoding: gzip"}, problem.UnsupportedMediaType},
		"JSON only, UTF-7":            {jsonOnly, denied, []string{"Content-Type: application/json; charset=utf-7"}, problem.UnsupportedMediaType},
		"another chatflow":            {free, denied, []string{jsonType}, ""},
		"another chatflow, multipart": {free, "--x--", []string{"Content-Type: multipart/form-data; boundary=x"}, ""},
	}
	g := newGate(t, nil, withKeys(t, limitedKeys))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, before := g.upstream.last()
			method, target, _ := strings.Cut(tt.request, " ")
			res := g.request(t, method, target, tt.body, append(tt.headers, bearerOf(secretA))...)
			_, body, n := g.upstream.last()
			if tt.code == "" {
				if res.status != 200 || n != before+1 || body != tt.body {
					t.Errorf("response = %d %s, %d requests reached the upstream, with body %.80q; want 200, 1, the body as it was", res.status, res.body, n-before, body)
				}
				return
			}
			if res.problem.Code != string(tt.code) || n != before {
				t.Errorf("response = %d %q, %d requests reached the upstream; want %q, none; %s", res.status, res.problem.Code, n-before, tt.code, res.body)
			}
		})
	}
	checkProblem(t, g.request(t, "POST", "/api/v1/prediction/"+botLimited, denied, jsonType), 401, problem.MissingKey)
	if res := g.request(t, "POST", "/api/v1/prediction/"+botLimited, denied, jsonType, bearerOf(secretA)); !strings.Contains(res.problem.Detail, "overrideConfig") {
		t.Errorf("detail = %q, want the member's name in it", res.problem.Detail)
	}
}

// TestBodyPolicyInPieces sends bodies without a length, in pieces.
func TestBodyPolicyInPieces(t *testing.T) {
	t.Parallel()
	chunked := func(body string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n", botLimited, jsonType, bearerOf(secretA))
		for _, c := range body {
			fmt.Fprintf(&b, "1\r\n%c\r\n", c)
		}
		return b.String() + "0\r\n\r\n"
	}
	g := newGate(t, nil, withKeys(t, limitedKeys))
	if res := g.raw(t, chunked(`{"question":"x"}`)); res.status != 200 {
		t.Fatalf("response = %d %s, want 200", res.status, res.body)
	}
	if res := g.raw(t, chunked("")); res.status != 200 {
		t.Fatalf("response to an empty body = %d %s, want 200", res.status, res.body)
	}
	r, body, n := g.upstream.last()
	if n != 2 || body != "" || r.ContentLength != 0 {
		t.Errorf("requests at the upstream = %d, the last with body %q and length %d, want 2, and an empty body", n, body, r.ContentLength)
	}
	checkProblem(t, g.raw(t, chunked(`{"uploads":1}`)), 403, problem.FieldNotAllowed)
}

// TestBodyPolicyChangesWhileTheBodyArrives: the policy that is active when the body is complete decides.
func TestBodyPolicyChangesWhileTheBodyArrives(t *testing.T) {
	t.Parallel()
	path := testkit.WriteFile(t, "keys.yaml", limitedKeys)
	store := openStore(t, path)
	g := newGate(t, nil, func(o *proxy.Options) { o.Store = store })
	c := g.dial(t)
	body := `{"history":[],"question":"x"}`
	fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\n%s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", botLimited, jsonType, bearerOf(secretA), len(body))
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") { // the gate has decided by the header, and is reading the body
		t.Fatalf("first line = %q, %v, want 100 Continue", line, err)
	}
	_, _ = r.ReadString('\n')
	testkit.ReplaceFile(t, path, strings.Replace(limitedKeys, "uploads]", "uploads, history]", 1))
	if r := store.Reload(); r.Err != nil {
		t.Fatal(r.Err)
	}
	_, _ = io.WriteString(c, body)
	checkProblem(t, readResponse(t, r), http.StatusForbidden, problem.FieldNotAllowed)
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("%d requests reached the upstream, want 0", n)
	}
}

// manyMembers returns the beginning of a JSON object, with n members of different names.
func manyMembers(n int) string {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		fmt.Fprintf(&b, `"m%d":1,`, i)
	}
	return b.String()
}

// TestBodyIsNotReadWithoutKey sends only the header of a request whose chatflow is in the body. A client without a valid
// key must be refused without having sent the body.
func TestBodyIsNotReadWithoutKey(t *testing.T) {
	t.Parallel()
	header := "POST /api/v1/leads HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"
	g := newGate(t, nil, nil)
	checkProblem(t, g.raw(t, header+"\r\n"), 401, problem.MissingKey)
	checkProblem(t, g.raw(t, header+bearerOf(secretExpired)+"\r\n\r\n"), 401, problem.InvalidKey)

	open := newGate(t, nil, withKeys(t, keyFile+publicEntry)) // now the body may name the public chatflow
	res := open.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botPublic+`"}`, jsonType)
	if res.status != 200 {
		t.Errorf("lead for a public chatflow = %d, want 200; %s", res.status, res.body)
	}
	res = open.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botA+`"}`, jsonType)
	checkProblem(t, res, 401, problem.MissingKey)
}

// TestRevokedWhileTheBodyArrives disables a key between the header and the body of a request whose chatflow is in the
// body.
func TestRevokedWhileTheBodyArrives(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, nil)
	conn := g.dial(t)
	body := `{"chatflowid":"` + botA + `"}`
	fmt.Fprintf(conn, "POST /api/v1/leads HTTP/1.1\r\nHost: x\r\n%s\r\n%s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", bearerOf(secretA), jsonType, len(body))
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); !strings.Contains(line, "100") { // the key is valid so far
		t.Fatalf("response to the header = %q, %v, want 100 Continue", line, err)
	}
	_, _ = r.ReadString('\n')
	testkit.ReplaceFile(t, g.keys, strings.Replace(keyFile, "{id: key-a,", "{id: key-a, disabled: true,", 1))
	if code, body := g.adminGet(t, "POST", "/-/reload"); code != 200 {
		t.Fatalf("reload = %d %s, want 200", code, body)
	}
	fmt.Fprint(conn, body)
	checkProblem(t, readResponse(t, r), 401, problem.InvalidKey)
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("%d requests reached the upstream, want 0", n)
	}
}

// TestContentType sends content types that two readers understand differently: Go's mime uses the charset of RFC 2231,
// Flowise's library the plain one, and in UTF-7 {"a":"+ACI-..."} is another object than in UTF-8.
func TestContentType(t *testing.T) {
	t.Parallel()
	body := `{"chatflowid":"` + botA + `","name":"x"}`
	g := newGate(t, nil, withKeys(t, limitedKeys))
	for _, contentType := range []string{
		"application/json; charset=utf-7; charset*=utf-8''utf-8", "application/json; charset=utf-7; charset*0=utf-8", "application/json; charset*=utf-8''utf-8",
		"application/json;", "application/json; ", "application/json; charset", "application/json; charset=", "application/json; charset=\"utf-8", "application/json; x=y",
		"application/json, text/plain", "application/json; charset=utf-8; charset=utf-8", "application/json; charset=utf-8;", "application/json ; charset =utf-8", "application/json; charset=utf_8",
		"application/JSON; Charset='utf-8'", "\"application/json\"", "application/json/x", "application/x-json", "application/json+x", "application/problem+json",
	} {
		header := "Content-Type: " + contentType
		if res := g.request(t, "POST", "/api/v1/leads", body, bearerOf(secretA), header); res.problem.Code != string(problem.BadRequest) {
			t.Errorf("body that names the chatflow, with type %q = %d %s, want bad_request", contentType, res.status, res.body)
		}
		if res := g.request(t, "POST", "/api/v1/prediction/"+botLimited, `{"question":"x"}`, bearerOf(secretA), header); res.problem.Code != string(problem.UnsupportedMediaType) {
			t.Errorf("body that is checked, with type %q = %d %s, want unsupported_media_type", contentType, res.status, res.body)
		}
	}
	if _, _, n := g.upstream.last(); n != 0 {
		t.Errorf("%d requests reached the upstream, want none", n)
	}
	for _, contentType := range []string{"application/json", "Application/JSON", "application/json;charset=utf-8", "application/json; charset=UTF-8", `application/json ;  charset="utf-8"`} {
		res := g.request(t, "POST", "/api/v1/leads", body, bearerOf(secretA), "Content-Type: "+contentType)
		r, _, _ := g.upstream.last()
		if res.status != 200 || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("body with type %q = %d, %q at the upstream, want 200 and application/json", contentType, res.status, r.Header["Content-Type"])
		}
	}
}

// TestContentTypePasses: a client's Connection header cannot remove the type of a body on the way to the upstream.
func TestContentTypePasses(t *testing.T) {
	t.Parallel()
	g := newGate(t, nil, withKeys(t, limitedKeys))
	for target, body := range map[string]string{
		"/api/v1/leads":                     `{"chatflowid":"` + botA + `"}`,
		"/api/v1/prediction/" + botA:        `{"question":"x"}`,
		"/api/v1/prediction/" + botJSONOnly: `{"question":"x"}`,
	} {
		res := g.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: gate\r\nConnection: close, Content-Type, Content-Encoding\r\n%s\r\nContent-Encoding: identity\r\n%s\r\nContent-Length: %d\r\n\r\n%s", target, jsonType, bearerOf(secretA), len(body), body))
		r, _, _ := g.upstream.last()
		if res.status != 200 || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Content-Encoding") != "identity" {
			t.Errorf("POST %s = %d, type %q and encoding %q at the upstream, want 200, application/json and identity", target, res.status, r.Header["Content-Type"], r.Header["Content-Encoding"])
		}
	}
}
