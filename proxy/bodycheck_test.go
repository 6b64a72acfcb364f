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

// TestBodyPolicy sends what a chatflow's body: allows and what it does not. What passes must reach the
// runner byte for byte, and nothing else may.
func TestBodyPolicy(t *testing.T) {
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
		code          problem.Code // empty: it passes
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
			_, _, before := g.runner.last()
			method, target, _ := strings.Cut(tt.request, " ")
			a := g.request(t, method, target, tt.body, append(tt.headers, bearerOf(secretA))...)
			_, body, n := g.runner.last()
			if tt.code == "" {
				if a.status != 200 || n != before+1 || body != tt.body {
					t.Errorf("answer = %d %s, %d requests reached the runner, with body %.80q; want 200, 1, the body as it was", a.status, a.body, n-before, body)
				}
				return
			}
			if a.problem.Code != string(tt.code) || n != before {
				t.Errorf("answer = %d %q, %d requests reached the runner; want %q, none; %s", a.status, a.problem.Code, n-before, tt.code, a.body)
			}
		})
	}
	checkProblem(t, g.request(t, "POST", "/api/v1/prediction/"+botLimited, denied, jsonType), 401, problem.MissingKey)
	if a := g.request(t, "POST", "/api/v1/prediction/"+botLimited, denied, jsonType, bearerOf(secretA)); !strings.Contains(a.problem.Detail, "overrideConfig") {
		t.Errorf("detail = %q, want the member's name in it", a.problem.Detail)
	}
}

// TestBodyPolicyInPieces sends bodies without a length, in pieces.
func TestBodyPolicyInPieces(t *testing.T) {
	chunked := func(body string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n", botLimited, jsonType, bearerOf(secretA))
		for _, c := range body {
			fmt.Fprintf(&b, "1\r\n%c\r\n", c)
		}
		return b.String() + "0\r\n\r\n"
	}
	g := newGate(t, nil, withKeys(t, limitedKeys))
	if a := g.raw(t, chunked(`{"question":"x"}`)); a.status != 200 {
		t.Fatalf("answer = %d %s, want 200", a.status, a.body)
	}
	if a := g.raw(t, chunked("")); a.status != 200 {
		t.Fatalf("answer to an empty body = %d %s, want 200", a.status, a.body)
	}
	r, body, n := g.runner.last()
	if n != 2 || body != "" || r.ContentLength != 0 {
		t.Errorf("the runner got %d requests, the last with %q of length %d; want 2, nothing", n, body, r.ContentLength)
	}
	checkProblem(t, g.raw(t, chunked(`{"uploads":1}`)), 403, problem.FieldNotAllowed)
}

// TestBodyPolicyChangesWhileTheBodyArrives: what is in force when the body is here decides.
func TestBodyPolicyChangesWhileTheBodyArrives(t *testing.T) {
	path := testkit.WriteFile(t, "keys.yaml", limitedKeys)
	store := openStore(t, path)
	g := newGate(t, nil, func(o *proxy.Options) { o.Store = store })
	c := g.dial(t)
	body := `{"history":[],"question":"x"}`
	fmt.Fprintf(c, "POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\n%s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", botLimited, jsonType, bearerOf(secretA), len(body))
	answers := bufio.NewReader(c)
	if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") { // decided by the head, and reading
		t.Fatalf("first line = %q, %v, want 100 Continue", line, err)
	}
	_, _ = answers.ReadString('\n')
	testkit.ReplaceFile(t, path, strings.Replace(limitedKeys, "uploads]", "uploads, history]", 1))
	if r := store.Reload(); r.Err != nil {
		t.Fatal(r.Err)
	}
	_, _ = io.WriteString(c, body)
	checkProblem(t, readAnswer(t, answers), http.StatusForbidden, problem.FieldNotAllowed)
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want 0", n)
	}
}

// manyMembers is the beginning of a JSON object with n members of different names.
func manyMembers(n int) string {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		fmt.Fprintf(&b, `"m%d":1,`, i)
	}
	return b.String()
}

// TestBodyIsNotReadWithoutKey sends only the head of a request whose chatflow is in its body: a caller
// without a key must get the answer without having sent the body.
func TestBodyIsNotReadWithoutKey(t *testing.T) {
	head := "POST /api/v1/leads HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"
	g := newGate(t, nil, nil)
	checkProblem(t, g.raw(t, head+"\r\n"), 401, problem.MissingKey)
	checkProblem(t, g.raw(t, head+bearerOf(secretExpired)+"\r\n\r\n"), 401, problem.InvalidKey)

	open := newGate(t, nil, withKeys(t, keyFile+publicEntry)) // now the body may be for the public one
	a := open.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botPublic+`"}`, jsonType)
	if a.status != 200 {
		t.Errorf("lead for a public chatflow = %d, want 200; %s", a.status, a.body)
	}
	a = open.request(t, "POST", "/api/v1/leads", `{"chatflowid":"`+botA+`"}`, jsonType)
	checkProblem(t, a, 401, problem.MissingKey)
}

// TestRevokedWhileTheBodyArrives disables a key between the head and the body of a request whose
// chatflow stands in its body.
func TestRevokedWhileTheBodyArrives(t *testing.T) {
	g := newGate(t, nil, nil)
	conn := g.dial(t)
	body := `{"chatflowid":"` + botA + `"}`
	fmt.Fprintf(conn, "POST /api/v1/leads HTTP/1.1\r\nHost: x\r\n%s\r\n%s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", bearerOf(secretA), jsonType, len(body))
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); !strings.Contains(line, "100") { // the key was found good
		t.Fatalf("answer to the head = %q, %v, want 100 Continue", line, err)
	}
	_, _ = r.ReadString('\n')
	testkit.ReplaceFile(t, g.keys, strings.Replace(keyFile, "{id: key-a,", "{id: key-a, disabled: true,", 1))
	if code, answer := g.adminGet(t, "POST", "/-/reload"); code != 200 {
		t.Fatalf("reload = %d %s", code, answer)
	}
	fmt.Fprint(conn, body)
	checkProblem(t, readAnswer(t, r), 401, problem.InvalidKey)
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want 0", n)
	}
}

// TestTypesOfBodies has ways to say what a body is that one reader understands otherwise than another: mime of
// Go takes the charset of RFC 2231, the runner's library the plain one. {"a":"+ACI-..."} is another object
// in UTF-7 than in UTF-8.
func TestTypesOfBodies(t *testing.T) {
	body := `{"chatflowid":"` + botA + `","name":"x"}`
	g := newGate(t, nil, withKeys(t, limitedKeys))
	for _, contentType := range []string{
		"application/json; charset=utf-7; charset*=utf-8''utf-8", "application/json; charset=utf-7; charset*0=utf-8", "application/json; charset*=utf-8''utf-8",
		"application/json;", "application/json; ", "application/json; charset", "application/json; charset=", "application/json; charset=\"utf-8", "application/json; x=y",
		"application/json, text/plain", "application/json; charset=utf-8; charset=utf-8", "application/json; charset=utf-8;", "application/json ; charset =utf-8", "application/json; charset=utf_8",
		"application/JSON; Charset='utf-8'", "\"application/json\"", "application/json/x", "application/x-json", "application/json+x", "application/problem+json",
	} {
		header := "Content-Type: " + contentType
		if a := g.request(t, "POST", "/api/v1/leads", body, bearerOf(secretA), header); a.problem.Code != string(problem.BadRequest) {
			t.Errorf("a body that names the chatflow, %q = %d %s, want bad_request", contentType, a.status, a.body)
		}
		if a := g.request(t, "POST", "/api/v1/prediction/"+botLimited, `{"question":"x"}`, bearerOf(secretA), header); a.problem.Code != string(problem.UnsupportedMediaType) {
			t.Errorf("a body that is checked, %q = %d %s, want unsupported_media_type", contentType, a.status, a.body)
		}
	}
	if _, _, n := g.runner.last(); n != 0 {
		t.Errorf("%d requests reached the runner, want none", n)
	}
	for _, contentType := range []string{"application/json", "Application/JSON", "application/json;charset=utf-8", "application/json; charset=UTF-8", `application/json ;  charset="utf-8"`} {
		a := g.request(t, "POST", "/api/v1/leads", body, bearerOf(secretA), "Content-Type: "+contentType)
		r, _, _ := g.runner.last()
		if a.status != 200 || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%q = %d, the runner got %q; want 200, application/json", contentType, a.status, r.Header["Content-Type"])
		}
	}
}

// TestBodyKeepsItsType: a caller cannot have the type of a body removed on the way to the runner.
func TestBodyKeepsItsType(t *testing.T) {
	g := newGate(t, nil, withKeys(t, limitedKeys))
	for target, body := range map[string]string{
		"/api/v1/leads":                     `{"chatflowid":"` + botA + `"}`,
		"/api/v1/prediction/" + botA:        `{"question":"x"}`,
		"/api/v1/prediction/" + botJSONOnly: `{"question":"x"}`,
	} {
		a := g.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: gate\r\nConnection: close, Content-Type, Content-Encoding\r\n%s\r\nContent-Encoding: identity\r\n%s\r\nContent-Length: %d\r\n\r\n%s", target, jsonType, bearerOf(secretA), len(body), body))
		r, _, _ := g.runner.last()
		if a.status != 200 || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Content-Encoding") != "identity" {
			t.Errorf("POST %s = %d; the runner got type %q, encoding %q", target, a.status, r.Header["Content-Type"], r.Header["Content-Encoding"])
		}
	}
}
