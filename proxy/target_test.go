package proxy_test

import (
	"bufio"
	"cmp"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

// ownAnswer stands for the contract's code where Go's server refuses the bytes itself, with a plain
// 400 and before there is a request to decide upon.
const ownAnswer problem.Code = "net/http"

// badTargets are request targets that must not get through, by class. Flowise itself resolves many of
// them to a chatflow: it decodes a URL, strips markup from it, and decodes it again.
var badTargets = []struct {
	class   string
	code    problem.Code
	method  string // POST if empty
	targets []string
}{
	{"dot segments", problem.NotCanonical, "", []string{
		"/api/v1/public/../prediction/" + botA,
		"/api/v1/./prediction/" + botA,
		"/api/v1/prediction/../prediction/" + botA,
		"/api/v1/prediction/" + botA + "/..",
		"/api/v1/prediction/" + botA + "/.",
		"/api/v1/prediction/" + botA + "/../" + botB,
		"/../api/v1/prediction/" + botA,
		"/..",
		"/.",
	}},
	{"encoded dot segments", problem.NotCanonical, "", []string{
		"/api/v1/public/%2e%2e/prediction/" + botA,
		"/api/v1/public/%2E%2E/prediction/" + botA,
		"/api/v1/public/%2e%2E/prediction/" + botA,
		"/api/v1/public/.%2e/prediction/" + botA,
		"/api/v1/public/%2e./prediction/" + botA,
		"/api/v1/public/%2e%2e%2fprediction/" + botA,
		"/api/v1/public/..%2fprediction/" + botA,
		"/api/v1/%2e/prediction/" + botA,
		"/api/v1/prediction/..%2f" + botA,
		"/api/v1/prediction/" + botA + "%2f..%2f" + botB,
	}},
	{"dots with something in them", problem.NotCanonical, "", []string{
		"/api/v1/public/..;/prediction/" + botA,
		"/api/v1/public/..;x=y/prediction/" + botA,
		"/api/v1/public/.%00./prediction/" + botA,
		"/api/v1/public/.%3Cx%3E./prediction/" + botA,
		"/api/v1/public/..%20/prediction/" + botA,
	}},
	{"encoded separators", problem.NotCanonical, "", []string{
		"/api%2fv1%2fprediction%2f" + botA,
		"/api%2Fv1/prediction/" + botA,
		"/api/v1%2fprediction/" + botA,
		"/api/v1/prediction%2f" + botA,
		"/api/v1/prediction%2F" + botA,
		"/%2fapi/v1/prediction/" + botA,
		"/api/v1/prediction/" + botA + "%2f",
		"/api/v1/prediction/" + botA + "%3fx=1",
		"/api/v1/prediction/" + botA + "%26x",
		"/api/v1/prediction/x%2f" + botA,
	}},
	{"encoded letters", problem.NotCanonical, "", []string{
		"/api/v1/%70rediction/" + botA,
		"/%61pi/v1/prediction/" + botA,
		"/api/%76%31/prediction/" + botA,
		"/api/v1/prediction/%33" + botA[1:],
		"/api/v1/prediction/" + botA[:8] + "%2d" + botA[9:],
		"/api/v1/" + percent("prediction") + "/" + percent(botA),
	}},
	{"double and triple encoding", problem.NotCanonical, "", []string{
		"/api/v1/%2570rediction/" + botA,
		"/api/v1/prediction/%2533" + botA[1:],
		"/api/v1/prediction/%252533" + botA[1:],
		"/api/v1/public/%252e%252e/prediction/" + botA,
		"/api/v1/public/%25252e%25252e/prediction/" + botA,
		"/api/v1/prediction/" + botA + "%252f" + botB,
		"/api/v1/prediction/x%252F" + botA,
		"/api/v1/prediction/" + percent(percent(botA)),
	}},
	{"overlong and wide encodings", problem.NotCanonical, "", []string{
		"/api/v1/public/%c0%ae%c0%ae/prediction/" + botA,
		"/api/v1/prediction%c0%af" + botA,
		"/api/v1/prediction%e0%80%af" + botA,
		"/api/v1/prediction%f0%80%80%af" + botA,
		"/api/v1/prediction%ef%bc%8f" + botA, // a full-width slash
		"/api/v1/%ef%bd%90rediction/" + botA, // a full-width p
		"/api/v1/prediction/%ef%bc%93" + botA[1:],
		"/api/v1/prediction/" + botA + "%ff",
		"/api/v1/prediction/" + botA + "%ed%a0%80",
	}},
	{"encodings that are none", ownAnswer, "", []string{
		"/api/v1/%prediction/" + botA,
		"/api/v1/prediction/" + botA + "%",
		"/api/v1/prediction/" + botA + "%2",
		"/api/v1/prediction/" + botA + "%zz",
		"/api/v1/%u0070rediction/" + botA,
		"/api/v1/public/%u002e%2e/prediction/" + botA,
	}},
	{"encoded control bytes", problem.NotCanonical, "", []string{
		"/api/v1/prediction/" + botA + "%00",
		"/api/v1/prediction/%00" + botA,
		"/api/v1/prediction%00/" + botA,
		"/api/v1/prediction/" + botA + "%0a",
		"/api/v1/prediction/" + botA + "%0d%0aX-Request-From:%20internal",
		"/api/v1/prediction/" + botA + "%09",
		"/api/v1/prediction/" + botA + "%20",
		"/api/v1/prediction/%20" + botA,
		"/api/v1/prediction/" + botA + "%7f",
		"/api/v1/prediction/" + botA + "%e2%80%8b",
	}},
	{"control bytes", ownAnswer, "", []string{
		"/api/v1/prediction/" + botA + "\x00",
		"/api/v1/prediction/\x00" + botA,
		"/api/v1/prediction/" + botA + "\x01",
		"/api/v1/prediction/" + botA + "\t",
		"/api/v1/prediction/" + botA + "\v",
		"/api/v1/prediction/" + botA + "\f",
		"/api/v1/prediction/" + botA + "\x7f",
		"/api/v1/prediction/" + botA + "\rX: y",
	}},
	{"spaces and line ends", ownAnswer, "", []string{
		"/api/v1/prediction/" + botA + " ",
		"/api/v1/prediction/ " + botA,
		"/api/v1/prediction/" + botA + " HTTP/1.1",
		"/api/v1/prediction/" + botA + "\n",
		"/api/v1/prediction/" + botA + "\r\n",
		"",
		" ",
	}},
	{"non-ASCII", problem.NotCanonical, "", []string{
		"/api/v1/prediction/" + botA + "\u00e4",
		"/api/v1/prediction/" + botA + "\u00a0",
		"/api/v1/prediction/" + botA + "\u200b",
		"/api/v1/prediction\u2215" + botA, // a division slash
		"/api/v1/prediction\uff0f" + botA, // a full-width one
		"/api/v1/\uff50rediction/" + botA,
		"/api/v1/pred\u0131ction/" + botA, // a dotless i, whose upper case is I
		"/api/v1/prediction/" + botA + "\xff",
		"/api/v1/prediction/" + botA + "\xc0\xaf",
		"/api/v1/prediction/" + botA + "\u0085",
		"/api/v1/prediction/" + botA + "\u2028",
	}},
	{"markup", problem.NotCanonical, "", []string{
		"/api/v1/pre%3Cx%3Ediction/" + botA,
		"/api/v1/pre<x>diction/" + botA,
		"/api/v1/prediction/<x>" + botA,
		"/api/v1/prediction/%3Cscript%3Ea%3C/script%3E" + botA,
		"/api/v1/prediction/" + botA[:8] + "<!--z-->" + botA[8:],
		"/<x>api/v1/prediction/" + botA,
	}},
	{"entities", problem.NotCanonical, "", []string{
		"/api/v1/&#112;rediction/" + botA,
		"/api/v1/&#x70;rediction/" + botA,
		"/api/v1&sol;prediction&sol;" + botA,
		"/api/v1/prediction/&#51;" + botA[1:],
		"/api/v1/prediction/" + botA + "&amp;",
		"/api/v1/%26%23112%3Brediction/" + botA,
	}},
	{"parameters", problem.NotCanonical, "", []string{
		"/api/v1/prediction;x/" + botA,
		"/api/v1/prediction;x=y/" + botA,
		"/api/v1/prediction/" + botA + ";x=y",
		"/api/v1/prediction/" + botA + ";",
		"/api;a/v1;b/prediction;c/" + botA + ";d",
		"/;/api/v1/prediction/" + botA,
		"/api/v1/prediction/" + botA + "%3bx",
		"/api/v1/prediction/" + botA + ",x",
		"/api/v1/prediction/" + botA + "=x",
	}},
	{"backslashes", problem.NotCanonical, "", []string{
		`/api\v1\prediction\` + botA,
		`/api/v1/prediction\` + botA,
		`/api/v1/public\..\prediction/` + botA,
		"/api/v1/prediction%5c" + botA,
		"/api/v1/prediction%5C" + botA,
		"/api/v1/public/..%5cprediction/" + botA,
		`/\evil.example/api/v1/prediction/` + botA,
	}},
	{"fragments", problem.NotCanonical, "", []string{
		"/api/v1/prediction/" + botA + "#x",
		"/api/v1/prediction/" + botA + "#/../" + botB,
		"/api/v1/ping#/../prediction/" + botA,
		"/#/api/v1/prediction/" + botA,
		"/api/v1/prediction/" + botA + "%23x",
		"/api/v1/prediction/" + botA + "?a#b",
		"/api/v1/prediction/" + botA + "#",
	}},
	{"empty segments", problem.NotCanonical, "", []string{
		"//api/v1/prediction/" + botA,
		"/api//v1/prediction/" + botA,
		"/api/v1//prediction/" + botA,
		"/api/v1/prediction//" + botA,
		"/api/v1/prediction/" + botA + "//",
		"//evil.example/api/v1/prediction/" + botA,
		"///",
	}},
	{"absolute targets", problem.NotCanonical, "", []string{
		"http://gate/api/v1/prediction/" + botA,
		"HTTP://gate/api/v1/prediction/" + botA,
		"http://evil.example/api/v1/prediction/" + botA,
		"https://evil.example/api/v1/prediction/" + botA,
		"http://user:word@evil.example/api/v1/prediction/" + botA,
		"http:///api/v1/prediction/" + botA,
		"ftp://evil.example/api/v1/prediction/" + botA,
		"file:///etc/hostname",
	}},
	{"opaque targets", problem.NotCanonical, "", []string{
		"http:http://internal.example/api/v1/prediction/" + botA,
		"http:/api/v1/prediction/" + botA,
		"http:api/v1/prediction/" + botA,
		"x:/api/v1/prediction/" + botA,
		"x:api/v1/prediction/" + botA,
		"mailto:evil.example",
	}},
	{"targets that are no path", ownAnswer, "", []string{
		"api/v1/prediction/" + botA,
		"?x=/api/v1/prediction/" + botA,
		"#/api/v1/prediction/" + botA,
		"./api/v1/prediction/" + botA,
		`\api\v1\prediction\` + botA,
		"%2fapi/v1/prediction/" + botA,
		":/api/v1/prediction/" + botA,
	}},
	{"asterisk", problem.NotCanonical, "", []string{"*"}},
	{"asterisk of OPTIONS", problem.NotCanonical, http.MethodOptions, []string{"*"}},
	{"asterisk in a path", problem.NotCanonical, "", []string{"/*", "/api/v1/prediction/*", "/api/v1/*/" + botA}},
	{"beginning of HTTP/2", problem.NotCanonical, "PRI", []string{"*"}},
	{"CONNECT to an authority", problem.NotCanonical, http.MethodConnect, []string{"evil.example:443", "127.0.0.1:3000", "evil.example"}},
	{"CONNECT to an absolute target", problem.NotCanonical, http.MethodConnect, []string{"http://evil.example/api/v1/prediction/" + botA}},
	{"CONNECT to a path", problem.MethodNotAllowed, http.MethodConnect, []string{"/api/v1/prediction/" + botA, "/api/v1/ping"}},
	{"TRACE", problem.MethodNotAllowed, http.MethodTrace, []string{"/api/v1/prediction/" + botA, "/api/v1/ping", "/api/v1/webhook/" + botA}},
	{"unknown method", problem.MethodNotAllowed, "PROPFIND", []string{"/api/v1/prediction/" + botA, "/api/v1/webhook/" + botA}},
	{"method of any characters", problem.MethodNotAllowed, "!#$%&'*+-.^_`|~", []string{"/api/v1/prediction/" + botA, "/api/v1/webhook/" + botA}},
	{"asterisk as method", problem.MethodNotAllowed, "*", []string{"/api/v1/prediction/" + botA, "/api/v1/webhook/" + botA}},
	{"method in lower case", problem.MethodNotAllowed, "post", []string{"/api/v1/prediction/" + botA, "/api/v1/webhook/" + botA}},
	{"method in mixed case", problem.MethodNotAllowed, "Post", []string{"/api/v1/prediction/" + botA, "/api/v1/webhook/" + botA}},
	{"method with a tail", problem.MethodNotAllowed, "POSTX", []string{"/api/v1/prediction/" + botA, "/api/v1/webhook/" + botA}},
	{"method that is no token", ownAnswer, "PO(ST", []string{"/api/v1/prediction/" + botA}},
	{"HEAD of a GET route", problem.MethodNotAllowed, http.MethodHead, []string{
		"/api/v1/chatflows-uploads/" + botA,
		"/api/v1/chatflows-streaming/" + botA,
		"/api/v1/ping",
		"/api/v1/get-upload-file?chatflowId=" + botA + "&chatId=c&fileName=f",
		"/api/v1/webhook/" + botA,
	}},
	{"OPTIONS that is no preflight", problem.MethodNotAllowed, http.MethodOptions, []string{
		"/api/v1/prediction/" + botA,
		"/api/v1/webhook/" + botA,
	}},
	{"no ID", problem.NotExposed, "", []string{
		"/api/v1/prediction",
		"/api/v1/prediction/",
		"/api/v1/vector/upsert",
		"/api/v1/vector/upsert/",
		"/api/v1/attachments/" + botA,
		"/api/v1/attachments/" + botA + "/",
		"/api/v1/mcp/",
	}},
	{"an ID that is none", problem.BadChatflowID, "", []string{
		"/api/v1/prediction/__proto__",
		"/api/v1/prediction/constructor",
		"/api/v1/prediction/toString",
		"/api/v1/prediction/undefined",
		"/api/v1/prediction/null",
		"/api/v1/prediction/0",
		"/api/v1/prediction/...",
		"/api/v1/prediction/" + strings.ReplaceAll(botA, "-", ""),
		"/api/v1/prediction/" + strings.ReplaceAll(botA, "-", "_"),
		"/api/v1/prediction/" + botA[1:],
		"/api/v1/prediction/" + botA + "0",
		"/api/v1/prediction/" + botA + "-",
		"/api/v1/prediction/" + botA + ".json",
		"/api/v1/prediction/" + botA + "~",
		"/api/v1/prediction/." + botA,
		"/api/v1/prediction/g" + botA[1:],
		"/api/v1/prediction/" + botA + botA,
		"/api/v1/vector/upsert/__proto__",
		"/api/v1/attachments/constructor/chat-1",
		"/api/v1/webhook/constructor",
	}},
	{"an ID in upper case", problem.BadChatflowID, "", []string{
		"/api/v1/prediction/" + strings.ToUpper(botA),
		"/api/v1/prediction/" + botA[:35] + "F",
		"/api/v1/prediction/3F" + botA[2:],
	}},
	{"an ID with signs around it", problem.NotCanonical, "", []string{
		"/api/v1/prediction/{" + botA + "}",
		"/api/v1/prediction/(" + botA + ")",
		"/api/v1/prediction/%7b" + botA + "%7d",
		`/api/v1/prediction/"` + botA + `"`,
		"/api/v1/prediction/'" + botA + "'",
		"/api/v1/prediction/[" + botA + "]",
		"/api/v1/prediction/" + botA + "," + botB,
		"/api/v1/prediction/urn:uuid:" + botA,
		"/api/v1/prediction/:id",
		"/api/v1/prediction/{chatflow}",
		"/api/v1/prediction/+" + botA,
		"/api/v1/prediction/" + botA + "%0A",
	}},
	{"words with a head or a tail", problem.NotExposed, "", []string{
		"/api/v1/predictionX/" + botA,
		"/api/v1/xprediction/" + botA,
		"/api/v1/prediction.json/" + botA,
		"/api/v1/prediction-/" + botA,
		"/api/v1/predictio/" + botA,
		"/api/v10/prediction/" + botA,
		"/api/v1./prediction/" + botA,
		"/xapi/v1/prediction/" + botA,
		"/x/api/v1/prediction/" + botA,
		"/api/v1/x/prediction/" + botA,
		"/api/v1/prediction/" + botA + "/extra",
		"/api/v1/prediction/" + botA + "/" + botB,
		"/prediction/" + botA,
		"/api/prediction/" + botA,
		"/v1/prediction/" + botA,
	}},
	{"words in another case", problem.NotExposed, "", []string{
		"/API/V1/prediction/" + botA,
		"/api/v1/Prediction/" + botA,
		"/api/v1/PREDICTION/" + botA,
		"/Api/v1/prediction/" + botA,
	}},
	{"trailing slash", problem.NotExposed, "", []string{
		"/api/v1/prediction/" + botA + "/",
		"/api/v1/vector/upsert/" + botA + "/",
		"/api/v1/webhook/" + botA + "/",
		"/api/v1/feedback/" + botA + "/",
		"/api/v1/ping/",
	}},
	{"routes that are not exposed", problem.NotExposed, "", []string{
		"/",
		"/api/v1/internal-prediction/" + botA,
		"/api/v1/openai-assistants-file/download",
		"/api/v1/chatflows",
		"/api/v1/node-load-method/x",
		"/socket.io/",
		"/metrics", "/livez", "/readyz", "/-/reload", // of the admin listener
		"/debug/pprof/",
	}},
	{"a query that looks like an open route", problem.NotExposed, "", []string{
		"/api/v1/chatflows?x=/api/v1/ping",
		"/api/v1/chatflows?/api/v1/prediction/" + botA,
		"/?/api/v1/prediction/" + botA,
	}},
	{"a query with bytes that must be encoded", problem.NotCanonical, "", []string{
		"/api/v1/prediction/" + botA + "?\xff",
		"/api/v1/prediction/" + botA + "?\u00e4",
		"/api/v1/prediction/" + botA + "?#",
	}},
	{"long path", problem.NotCanonical, "", []string{
		"/api/v1/prediction/" + botA + "/" + strings.Repeat("a", 2000),
		strings.Repeat("/a", 600),
	}},
}

// percent encodes every byte of s.
func percent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

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

// readHead reads the answer to a HEAD request.
func readHead(t *testing.T, r io.Reader) *answer {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(r), &http.Request{Method: http.MethodHead})
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	res.Body.Close()
	return &answer{status: res.StatusCode, header: res.Header}
}

// head is the answer's head as text.
func (a *answer) head() string {
	var b strings.Builder
	_ = a.header.Write(&b) // a builder takes everything
	return b.String()
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
