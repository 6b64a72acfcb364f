package proxy_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// TestHeldBodiesAreBounded fills the memory that bodies may hold while they are checked: the next one is
// refused, and accepted again when the memory is free.
func TestHeldBodiesAreBounded(t *testing.T) {
	g := newGate(t, nil, func(o *proxy.Options) {
		withKeys(t, limitedKeys)(o)
		o.MaxCheckedBody = 64 << 10 // 4 MiB in all
	})
	head := fmt.Sprintf("POST /api/v1/prediction/%s HTTP/1.1\r\nHost: gate\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n", botLimited, jsonType, bearerOf(secretA), 60<<10)
	var held []net.Conn
	hold := func() { // 50 KiB
		c := g.dial(t)
		if _, err := io.WriteString(c, head+`{"question":"`+strings.Repeat("x", 50<<10)); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	for range 70 {
		hold()
	}
	ask := func() *answer {
		return g.request(t, "POST", "/api/v1/prediction/"+botLimited, `{"question":"`+strings.Repeat("x", 60<<10)+`"}`, jsonType, bearerOf(secretA))
	}
	eventually(t, "a refusal for want of memory", func() bool {
		hold() // of those that came at once, some may have been refused too many
		return ask().problem.Code == string(problem.Overloaded)
	})
	if a := g.request(t, "POST", "/api/v1/prediction/"+botA, `{"question":"x"}`, jsonType, bearerOf(secretA)); a.status != 200 {
		t.Errorf("a chatflow without a limit = %d, want 200", a.status)
	}
	for _, c := range held {
		c.Close()
	}
	eventually(t, "memory being free again", func() bool { return ask().status == 200 })
}

// TestBodyPolicyChangesWhileTheBodyArrives: what is in force when the body is here decides.
func TestBodyPolicyChangesWhileTheBodyArrives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(limitedKeys)
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
	write(strings.Replace(limitedKeys, "uploads]", "uploads, history]", 1))
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
