//go:build e2e

package differential

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Case is one request in bytes, and what is known about it.
type Case struct {
	Index   int
	Route   string   // that it is for, were it not changed
	Classes []string // of the changes, in order; empty if it is as a client would send it
	Key     string   // ID of the key in it, or noKey
	Aim     string   // the chatflow it is for, were it not changed
	Raw     []byte
	// Most is how many requests the upstream may receive because of it: one, or two if there is a second after the first.
	Most int
	// Odd says that the end of the request is in doubt, so that its connection must be read to the end.
	Odd bool
}

// Generator makes cases. The same seed, world and index make the same case.
type Generator struct {
	World World
	Seed  uint64
	Only  []string // routes to begin with; nil means all
	Skip  []string // classes to leave out
}

// message is a request in parts, so that a change finds the part to change.
type message struct {
	world   World
	nonce   string
	aim     string // the chatflow it is for
	other   string // one that it is not for
	token   string // the secret in it, or empty
	method  string
	path    string
	query   string // with its question mark
	target  string // instead of path and query, if not empty
	proto   string
	lines   []string // of the header
	members []member // of the JSON body; nil for no body
	before  string   // text around the members
	after   string
	encode  func([]byte) []byte // applied to the whole body, last
	framing string              // lines instead of the Content-Length
	framed  bool
	frame   func([]byte) []byte // applied to the body, with framing
	tail    string              // what follows the request
	reline  func(string) string // applied to the request line and header, last
	odd     bool
}

// member is a member of a JSON object, as text.
type member struct{ name, value string }

const jsonType = "Content-Type: application/json"

// route is a request as a client sends it. ID stands for the chatflow and NONCE for a word of its own.
type route struct {
	name, method, target string
	members              []member
}

var routes = []route{
	{"prediction", "POST", "/api/v1/prediction/ID", []member{{`"question"`, `"NONCE"`}}},
	{"chatflows-streaming", "GET", "/api/v1/chatflows-streaming/ID", nil},
	{"chatflows-uploads", "GET", "/api/v1/chatflows-uploads/ID", nil},
	{"abort", "PUT", "/api/v1/chatmessage/abort/ID/chat-1", nil},
	{"attachments", "POST", "/api/v1/attachments/ID/chat-1", []member{{`"x"`, `"NONCE"`}}},
	{"get-upload-file", "GET", "/api/v1/get-upload-file?chatflowId=ID&chatId=chat-1&fileName=a.txt", nil},
	{"ping", "GET", "/api/v1/ping", nil},
	{"public-chatbotConfig", "GET", "/api/v1/public-chatbotConfig/ID", nil},
	{"feedback", "POST", "/api/v1/feedback/ID", []member{{`"chatflowid"`, `"ID"`}, {`"messageId"`, `"m"`}, {`"content"`, `"NONCE"`}}},
	{"feedback-update", "PUT", "/api/v1/feedback/11111111-2222-4333-8444-555555555555", []member{{`"content"`, `"NONCE"`}}},
	{"leads", "POST", "/api/v1/leads", []member{{`"chatflowid"`, `"ID"`}, {`"name"`, `"NONCE"`}}},
	{"text-to-speech", "POST", "/api/v1/text-to-speech/generate", []member{{`"text"`, `"NONCE"`}, {`"chatflowId"`, `"ID"`}}},
	{"text-to-speech-abort", "POST", "/api/v1/text-to-speech/abort", []member{{`"chatflowId"`, `"ID"`}, {`"chatId"`, `"c"`}}},
	{"node-icon", "GET", "/api/v1/node-icon/x", nil},
	{"vector-upsert", "POST", "/api/v1/vector/upsert/ID", []member{{`"stopNodeId"`, `"NONCE"`}}},
	{"mcp", "POST", "/api/v1/mcp/ID", []member{{`"jsonrpc"`, `"2.0"`}}},
	{"webhook", "POST", "/api/v1/webhook/ID?x=1", []member{{`"x"`, `"NONCE"`}}},
	// Neighbours that are never exposed.
	{"other:chatmessage", "GET", "/api/v1/chatmessage/ID", nil},
	{"other:internal-prediction", "POST", "/api/v1/internal-prediction/ID", []member{{`"question"`, `"NONCE"`}}},
	{"other:chatflows", "GET", "/api/v1/chatflows/ID", nil},
	{"other:public-chatflows", "GET", "/api/v1/public-chatflows/ID", nil},
	{"other:apikey", "GET", "/api/v1/apikey", nil},
	{"other:leads", "GET", "/api/v1/leads/ID", nil},
	{"other:feedback", "GET", "/api/v1/feedback/ID", nil},
	{"other:openai-assistants-file", "POST", "/api/v1/openai-assistants-file/download", []member{{`"chatflowId"`, `"ID"`}}},
	{"other:export-import", "POST", "/api/v1/export-import/export", []member{{`"chatflow"`, `true`}}},
}

// Valid returns the requests of all exposed routes as clients send them, each with the key of its chatflow.
func Valid(w World, nonce func(int) string) []Case {
	var cases []Case
	for i, r := range routes {
		if strings.HasPrefix(r.name, "other:") {
			continue
		}
		m := r.message(w, w.A, w.B, w.Secrets[keyA], nonce(i))
		cases = append(cases, Case{Index: i, Route: r.name, Key: keyA, Aim: w.A, Raw: m.wire(), Most: 1})
	}
	return cases
}

// Case returns the case of an index, with a word of its own by which its effects are found: two calls with words of the
// same length return requests that differ by nothing else.
func (g Generator) Case(index int, nonce string) Case {
	r := rand.New(rand.NewPCG(g.Seed, uint64(index)))
	w := g.World
	// The first change is drawn before the route, so that each class is tried where it can do something.
	classes := g.classes()
	changes := []class{pick(r, classes...)}
	for n := pick(r, 0, 0, 0, 1, 1, 2, 3); n > 0; n-- {
		changes = append(changes, pick(r, classes...))
	}
	base := pick(r, g.routes(changes[0])...)
	// The chatflow that the client may use comes first, as in an attack that adds another.
	pair := pick(r, [2]string{w.A, w.B}, [2]string{w.A, w.B}, [2]string{w.A, w.B}, [2]string{w.B, w.A}, [2]string{w.A, w.Unlisted}, [2]string{w.Public, w.A}, [2]string{w.Unlisted, w.Public})
	key := pick(r, keyA, keyA, keyB, keyOps, keyExpired, keyUnknown, noKey)
	if r.IntN(4) > 0 { // the right key: a request that is refused because of its key says little about its change
		key = map[string]string{w.A: keyA, w.B: keyB, w.Public: noKey, w.Unlisted: keyOps}[pair[0]]
	}
	token := w.Secrets[key]
	m := base.message(w, pair[0], pair[1], token, nonce)
	c := Case{Index: index, Route: base.name, Key: key, Aim: pair[0]}
	for _, change := range changes {
		change.change(r, m)
		c.Classes = append(c.Classes, change.name)
	}
	c.Raw, c.Most, c.Odd = m.wire(), 1, m.odd
	hidden := slices.Contains(c.Classes, "second request")
	head, _, _ := strings.Cut(string(c.Raw), "\r\n\r\n")
	switch {
	case strings.Contains(head, "\nContent-Length:") && strings.Contains(head, "\nTransfer-Encoding:"):
		c.Most = 1 // the connection must end after it, whichever length counts (RFC 9112, section 6.1)
	case m.tail != "", hidden && (slices.Contains(c.Classes, "framing") || slices.Contains(c.Classes, "request lines")):
		c.Most = 2 // two valid requests, or possibly two
	}
	return c
}

// routes returns those to begin with for a change.
func (g Generator) routes(change class) []route {
	var all, apt []route
	for _, r := range routes {
		if g.Only == nil || slices.Contains(g.Only, r.name) {
			all = append(all, r)
			if slices.Contains(change.apt, r.name) {
				apt = append(apt, r)
			}
		}
	}
	for n := len(apt); n > 0 && len(apt) < 2*len(all); { // two of three are apt
		apt = append(apt, apt[:n]...)
	}
	return append(all, apt...)
}

func (r route) message(w World, aim, other, token, nonce string) *message {
	fill := strings.NewReplacer("ID", aim, "NONCE", nonce)
	m := &message{world: w, nonce: nonce, aim: aim, other: other, token: token, method: r.method, proto: "HTTP/1.1"}
	path, query, hasQuery := strings.Cut(fill.Replace(r.target), "?")
	m.path = w.Prefix + path
	if hasQuery {
		m.query = "?" + query
	}
	m.lines = []string{"Host: 127.0.0.1", "X-Nonce: " + nonce}
	if token != "" {
		m.lines = append(m.lines, "Authorization: Bearer "+token)
	}
	if r.members != nil {
		m.lines = append(m.lines, jsonType)
		m.members = []member{}
		for _, f := range r.members {
			m.members = append(m.members, member{f.name, fill.Replace(f.value)})
		}
	}
	return m
}

// wire returns the bytes of the request.
func (m *message) wire() []byte {
	var body []byte
	if m.members != nil {
		var fields []string
		for _, f := range m.members {
			fields = append(fields, f.name+":"+f.value)
		}
		body = []byte(m.before + "{" + strings.Join(fields, ",") + "}" + m.after)
	}
	if m.encode != nil {
		body = m.encode(body)
	}
	target := m.target
	if target == "" {
		target = m.path + m.query
	}
	head := m.method + " " + target
	if m.proto != "" {
		head += " " + m.proto
	}
	head += "\r\n"
	for _, l := range m.lines {
		head += l + "\r\n"
	}
	switch {
	case m.framed:
		head += m.framing
	case len(body) > 0 || m.members != nil:
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	head += "\r\n"
	if m.reline != nil {
		head = m.reline(head)
	}
	if m.frame != nil {
		body = m.frame(body)
	}
	return append(append([]byte(head), body...), m.tail...)
}

// setType puts a header line in the place of the Content-Type.
func (m *message) setType(line string) {
	m.dropLine("Content-Type")
	m.lines = append(m.lines, line)
}

func (m *message) dropLine(name string) {
	kept := m.lines[:0:0]
	for _, l := range m.lines {
		if n, _, _ := strings.Cut(l, ":"); !strings.EqualFold(strings.TrimSpace(n), name) {
			kept = append(kept, l)
		}
	}
	m.lines = kept
}

// idMember returns the index of the member that names the chatflow, or -1.
func (m *message) idMember() int {
	for i, f := range m.members {
		if strings.EqualFold(strings.Trim(f.name, `"`), "chatflowid") {
			return i
		}
	}
	return -1
}

// second returns a whole request for the other chatflow, with the same key or without, to be hidden in or put after one.
func (m *message) second(token string) string {
	s := routes[0].message(m.world, m.other, m.aim, token, m.nonce)
	return string(bytes.TrimSpace(s.wire()))
}
