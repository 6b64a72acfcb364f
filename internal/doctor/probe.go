package doctor

import (
	"fmt"
	"strings"
)

// probe is a request that no gate may let through: it has no valid key, or asks for what is not exposed. If a gate does
// let it through, it runs nothing: it only reads, or names a chatflow that does not exist. Only predictions may name no
// chatflow, which Flowise refuses (412). On other routes (vector/upsert, internal-prediction), Flowise 2.2.8 would then
// run the first chatflow that it has.
type probe struct {
	name   string
	header string // the request line and the header up to Host, which is added
	body   string // follows the header as it is
}

// nobody stands in probes for a chatflow that does not exist.
const nobody = "NOBODY"

// hiddenMark is a header line of a request that is hidden in the body of another.
const hiddenMark = "X-Flowlatch-Doctor: hidden"

// probes returns the requests to send to a gate. prefix goes before every path. host is the gate's name for clients: a
// proxy in front of the gate may itself respond to requests for other hosts.
func (t *target) probes(host, prefix, chatflow string) (list []probe) {
	expand := strings.NewReplacer(nobody, chatflow)
	add := func(name, line, fields, body string) {
		list = append(list, probe{expand.Replace(name), expand.Replace(line) + " HTTP/1.1\r\n" + fields, expand.Replace(body)})
	}
	with := func(name, fields string) string {
		if fields == "" {
			return name
		}
		return name + " with " + strings.ReplaceAll(strings.TrimSpace(fields), "\r\n", " and ")
	}
	const (
		jsonBody = `{"question":"flowlatch doctor"}`
		wrongKey = "Authorization: Bearer flowlatch-doctor-has-no-key\r\n"
	)
	question := fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(jsonBody))
	call := prefix + t.call()
	post := func(path, fields string) { add(with("POST "+path, fields), "POST "+path, fields+question, jsonBody) }

	for _, credential := range []string{"", wrongKey, "Authorization: flowlatch-doctor-has-no-key\r\n", "Authorization: Basic YWRtaW46YWRtaW4=\r\n", t.insider} {
		post(call, credential)
	}
	for _, path := range t.spellings() {
		post(prefix+path, "")
	}
	for _, requestTarget := range []string{"http://" + host + call, "http:http://" + host + call, "x:" + call, "localhost:80", "*"} {
		post(requestTarget, "")
	}
	for _, method := range []string{"CONNECT", "TRACE", "OPTIONS", "post", "PROPFIND"} {
		add(method+" "+call, method+" "+call, "", "")
	}
	for _, path := range t.closed {
		for _, fields := range []string{"", t.insider} {
			add(with("GET "+prefix+path, fields), "GET "+prefix+path, fields, "")
		}
	}
	for _, fields := range []string{
		"X-Original-URL: " + t.secret + "\r\n", "X-Rewrite-URL: " + t.secret + "\r\n", "X-Forwarded-Uri: " + t.secret + "\r\n", "X-HTTP-Method-Override: GET\r\n",
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", wrongKey + wrongKey,
	} {
		post(call, fields)
	}
	hidden := "0\r\n\r\nGET " + prefix + t.secret + " HTTP/1.1\r\nHost: " + host + "\r\n" + hiddenMark + "\r\n\r\n"
	for _, framing := range []string{
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", "Transfer-Encoding: chunked, identity\r\nContent-Length: 5\r\n",
		"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n", "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
	} {
		add(with("a hidden request", framing), "POST "+call, framing, hidden)
	}
	return list
}
