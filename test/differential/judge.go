//go:build e2e

package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Judge says what is wrong with what became of requests. It is the harness's idea of what the gate promises, and knows
// nothing of how the gate goes about it.
type Judge struct {
	World    World
	Upstream string   // the runner's address, which is the Host it must be sent
	Key      string   // the runner's own key, which the gate sends in the place of the caller's
	Lacks    []string // routes that this runner has not: its user interface answers them
}

// Outcome is what became of one case.
type Outcome struct {
	Case    Case
	Answers []Answer // the gate's
	Hits    []Hit    // through the gate
	Direct  []Hit    // around it
}

// exposed are the routes of the gate's log, and for each whether it names a chatflow. A controller of the router has the
// name of its route.
var exposed = map[string]bool{
	"prediction": true, "chatflows-streaming": true, "chatflows-uploads": true, "abort": true, "attachments": true, "get-upload-file": true,
	"public-chatbotConfig": true, "feedback": true, "leads": true, "text-to-speech": true, "text-to-speech-abort": true, "vector-upsert": true,
	"mcp": true, "webhook": true,
	"ping": false, "feedback-update": false, "node-icon": false,
}

// Faults returns all that is wrong with an outcome, given the gate's log.
func (j Judge) Faults(o Outcome, lines map[string]Line) []string {
	var faults []string
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if len(o.Hits) > o.Case.Most {
		add("%d requests reached the runner, want at most %d", len(o.Hits), o.Case.Most)
	}
	var seen []string
	for _, h := range o.Hits {
		for _, f := range j.forwarded(o.Case, h) {
			add("%s", f)
		}
		ids := h.Header("X-Request-Id")
		if len(ids) != 1 {
			add("the runner got the request IDs %q, want one", ids)
			continue
		}
		line, ok := lines[ids[0]]
		switch {
		case !ok:
			add("the runner got a request of which the gate logged nothing")
			continue
		case slices.Contains(seen, ids[0]):
			add("the runner got one request twice")
		case line.Decision != "allow":
			add("the runner got a request that the gate logged as %s (%s)", line.Decision, line.Code)
		}
		seen = append(seen, ids[0])
		for _, f := range j.authorised(o.Case, h, line) {
			add("%s", f)
		}
		if o.Case.Most == 1 && len(o.Direct) == 1 {
			d := o.Direct[0]
			if text(d.Chatflow) != "" && text(h.Chatflow) != "" && (d.Controller != h.Controller || text(d.Chatflow) != text(h.Chatflow)) {
				add("through the gate it is %s of %s, around it %s of %s", h.Controller, h.Chatflow, d.Controller, d.Chatflow)
			}
		}
	}
	for _, a := range o.Answers {
		for _, f := range j.answered(o, a, lines) {
			add("%s", f)
		}
	}
	return faults
}

// authorised judges whether a request that reached a controller may have.
func (j Judge) authorised(c Case, h Hit, line Line) []string {
	switch h.Controller {
	case "", "error": // none ran: a preflight, or a body that the runner cannot read
		return nil
	}
	names, known := exposed[h.Controller]
	switch {
	case h.Controller == "ui" && slices.Contains(j.Lacks, line.Route), h.Controller == "unauthorized" && h.Method == http.MethodOptions:
		return nil // nothing ran there either
	case !known:
		return []string{fmt.Sprintf("the runner took it for %s, which is not exposed", h.Controller)}
	}
	var faults []string
	if h.Controller != line.Route {
		faults = append(faults, fmt.Sprintf("the runner took it for %s, the gate for %s", h.Controller, line.Route))
	}
	// A key counts only if its secret is in the request, whatever the gate says.
	key := line.Key
	if key != "" && !bytes.Contains(c.Raw, []byte(j.World.Secrets[key])) {
		faults = append(faults, fmt.Sprintf("the gate saw the key %s, which is not in the request", key))
		key = ""
	}
	chatflow := text(h.Chatflow)
	switch {
	case !names:
		if h.Controller == "feedback-update" && !slices.Contains([]string{keyA, keyB, keyOps}, key) {
			faults = append(faults, fmt.Sprintf("%s ran for the key %q, want a valid one", h.Controller, key))
		}
	case chatflow == j.World.Public, h.Controller == "chatflows-streaming" && j.World.listed(chatflow), j.World.Opens(key, chatflow):
		if got, want := line.Chatflow, j.World.label(chatflow); got != want {
			faults = append(faults, fmt.Sprintf("the runner took it for chatflow %s, the gate for %s", want, got))
		}
	default:
		faults = append(faults, fmt.Sprintf("%s ran for the chatflow %q with the key %q, which does not open it", h.Controller, chatflow, key))
	}
	if r := text(h.Row); r != "" {
		faults = append(faults, fmt.Sprintf("the caller chose the row %q that is written to", r))
	}
	return faults
}

// Ran judges a case that ran a chatflow, as the runner's own records show, by the answers and the log of the gate.
func (j Judge) Ran(c Case, chatflow string, answers []Answer, lines map[string]Line) error {
	unanswered := true
	for _, a := range answers {
		line, ok := lines[a.Header.Get("X-Request-Id")]
		unanswered = unanswered && !ok
		shown := line.Key != "" && bytes.Contains(c.Raw, []byte(j.World.Secrets[line.Key]))
		if line.Decision == "allow" && line.Chatflow == j.World.label(chatflow) && (chatflow == j.World.Public || shown && j.World.Opens(line.Key, chatflow)) {
			return nil
		}
	}
	if unanswered && chatflow == j.World.Public {
		return nil
	}
	for _, key := range []string{keyA, keyB, keyOps} { // nobody waited for the answer: which line it has cannot be told
		if unanswered && j.World.Opens(key, chatflow) && bytes.Contains(c.Raw, []byte(j.World.Secrets[key])) {
			return nil
		}
	}
	return fmt.Errorf("%s ran, and the gate let through no request for it with a key that opens it", chatflow)
}

var (
	canonicalURL = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+(\?[A-Za-z0-9._~%&=-]*)?$`)
	dotSegment   = regexp.MustCompile(`/\.{1,2}(/|\?|$)`)
	// managed are headers that the gate sets or never passes, by names in which only letters and digits are left.
	managed = regexp.MustCompile(`^(cookie2?|proxyauthorization|xrequestfrom|flowisetool|xflowiseevaluation|forwarded|xforwarded.+|xrealip|xclientip|trueclientip|via|` +
		`xoriginal.*|xrewriteurl|xhttpmethod|xhttpmethodoverride|xmethodoverride|upgrade|http2settings|te|trailer|expect|keepalive|proxyconnection|contentlength_.*)$`)
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	notAlnum   = regexp.MustCompile(`[^a-z0-9]`)
)

// forwarded judges the head that the runner was sent.
func (j Judge) forwarded(c Case, h Hit) []string {
	var faults []string
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if h.Via != "gate" || h.Controller == "malformed" || strings.HasPrefix(h.Controller, "crashed") {
		add("the runner was sent what is no HTTP: %s %s", h.Controller, h.URL)
		return faults
	}
	if !canonicalURL.MatchString(h.URL) || dotSegment.MatchString(h.URL) {
		add("the runner was sent the URL %q, want one in its plainest spelling", h.URL)
	}
	if len(h.Trailers) > 0 {
		add("the runner was sent the trailers %q, want none", h.Trailers)
	}
	for i := 0; i+1 < len(h.Headers); i += 2 {
		name, value := h.Headers[i], h.Headers[i+1]
		bare := notAlnum.ReplaceAllString(strings.ToLower(name), "")
		switch {
		case !headerName.MatchString(name):
			add("the runner was sent the header %q, a name that some take for another", name)
		case bare == "xforwardedfor":
			if want := Caller(c.Index).String(); value != want {
				add("the runner was told that %q called, want %s", value, want)
			}
		case bare == "authorization":
			if value != "Bearer "+j.Key {
				add("the runner was sent the caller's Authorization")
			}
		case bare == "host":
			if value != j.Upstream {
				add("the runner was sent the Host %q, want its own", value)
			}
		case bare == "connection":
			if !strings.EqualFold(value, "close") && !strings.EqualFold(value, "keep-alive") {
				add("the runner was sent Connection: %s", value)
			}
		case managed.MatchString(bare), strings.Contains(value, Planted):
			add("the runner was sent the caller's %s: %s", name, value)
		}
	}
	for _, name := range []string{"Host", "X-Forwarded-For", "Authorization", "Content-Length", "Content-Type"} {
		if n := len(h.Header(name)); n > 1 && name != "Content-Type" {
			add("the runner was sent %d headers %s", n, name)
		}
	}
	return faults
}

// answered judges an answer of the gate.
func (j Judge) answered(o Outcome, a Answer, lines map[string]Line) []string {
	id := a.Header.Get("X-Request-Id")
	if id == "" { // of Go's server, which has refused it unread
		if len(a.Header["Location"]) > 0 || !slices.Contains([]int{400, 417, 431, 501, 505}, a.Status) {
			return []string{fmt.Sprintf("the answer %d has no request ID", a.Status)}
		}
		return nil
	}
	for _, h := range o.Hits {
		if slices.Contains(h.Header("X-Request-Id"), id) {
			return nil // the runner's, or of the gate about it
		}
	}
	var faults []string
	if line := lines[id]; line.Decision == "allow" && a.Status < 400 {
		faults = append(faults, "the gate answered by itself what it let through")
	}
	var problem struct{ Code string }
	err := json.Unmarshal(a.Body, &problem)
	isHead := bytes.HasPrefix(o.Case.Raw, []byte("HEAD "))
	if a.Status < 400 || len(a.Header["Location"]) > 0 || !isHead && (err != nil || problem.Code == "") {
		faults = append(faults, fmt.Sprintf("the answer %d %q is no refusal with a code", a.Status, a.Body))
	}
	for _, mark := range []string{Planted, "<", "evil.example"} {
		if bytes.Contains(a.Body, []byte(mark)) {
			faults = append(faults, fmt.Sprintf("the answer %q repeats what the caller sent", a.Body))
		}
	}
	return faults
}

// Print is the report of a case that failed.
func (c Case) Print(seed uint64) string {
	return fmt.Sprintf("seed %d, index %d: %s, key %s, changed by %q:\n%q", seed, c.Index, c.Route, c.Key, c.Classes, c.Raw)
}
