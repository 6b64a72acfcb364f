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

// Judge decides whether the outcome of a request is right. It is the test's own statement of what the gate promises, and
// independent of the gate's code.
type Judge struct {
	World    World
	Upstream string   // the upstream's address, which must be the Host of its requests
	Key      string   // the upstream's own key, which the gate sends instead of the client's
	Lacks    []string // routes that this Flowise does not have: its user interface responds there
}

// Outcome is what a case led to.
type Outcome struct {
	Case      Case
	Responses []Response // the gate's
	Hits      []Hit      // through the gate
	Direct    []Hit      // around it
}

// exposed has the routes in the gate's log, and whether each names a chatflow. The router's controllers have the names of
// their routes.
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
		add("%d requests reached the upstream, want at most %d", len(o.Hits), o.Case.Most)
	}
	var seen []string
	for _, h := range o.Hits {
		for _, f := range j.forwarded(o.Case, h) {
			add("%s", f)
		}
		ids := h.Header("X-Request-Id")
		if len(ids) != 1 {
			add("the upstream got the request IDs %q, want one", ids)
			continue
		}
		line, ok := lines[ids[0]]
		switch {
		case !ok:
			add("the upstream got a request of which the gate logged nothing")
			continue
		case slices.Contains(seen, ids[0]):
			add("the upstream got one request twice")
		case line.Decision != "allow":
			add("the upstream got a request that the gate logged as %s (%s)", line.Decision, line.Code)
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
	for _, a := range o.Responses {
		for _, f := range j.responded(o, a, lines) {
			add("%s", f)
		}
	}
	return faults
}

// authorised judges whether a request that reached a controller may have.
func (j Judge) authorised(c Case, h Hit, line Line) []string {
	switch h.Controller {
	case "", "error": // none ran: a preflight, or a body that the upstream cannot read
		return nil
	}
	names, known := exposed[h.Controller]
	switch {
	case h.Controller == "ui" && slices.Contains(j.Lacks, line.Route), h.Controller == "unauthorized" && h.Method == http.MethodOptions:
		return nil // nothing ran there either
	case !known:
		return []string{fmt.Sprintf("the upstream took it for %s, which is not exposed", h.Controller)}
	}
	var faults []string
	if h.Controller != line.Route {
		faults = append(faults, fmt.Sprintf("the upstream took it for %s, the gate for %s", h.Controller, line.Route))
	}
	// A key counts only if its secret is in the request, whatever the gate logged.
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
			faults = append(faults, fmt.Sprintf("the upstream took it for chatflow %s, the gate for %s", want, got))
		}
	default:
		faults = append(faults, fmt.Sprintf("%s ran for the chatflow %q with the key %q, which does not open it", h.Controller, chatflow, key))
	}
	if r := text(h.Row); r != "" {
		faults = append(faults, fmt.Sprintf("the client chose the row %q that is written to", r))
	}
	return faults
}

// Ran judges a case that ran a chatflow, according to Flowise's records, by the gate's responses and its log.
func (j Judge) Ran(c Case, chatflow string, responses []Response, lines map[string]Line) error {
	noResponse := true
	for _, a := range responses {
		line, ok := lines[a.Header.Get("X-Request-Id")]
		noResponse = noResponse && !ok
		shown := line.Key != "" && bytes.Contains(c.Raw, []byte(j.World.Secrets[line.Key]))
		if line.Decision == "allow" && line.Chatflow == j.World.label(chatflow) && (chatflow == j.World.Public || shown && j.World.Opens(line.Key, chatflow)) {
			return nil
		}
	}
	if noResponse && chatflow == j.World.Public {
		return nil
	}
	for _, key := range []string{keyA, keyB, keyOps} { // there is no response, so its log line is not known
		if noResponse && j.World.Opens(key, chatflow) && bytes.Contains(c.Raw, []byte(j.World.Secrets[key])) {
			return nil
		}
	}
	return fmt.Errorf("%s ran, and the gate allowed no request for it with a key that opens it", chatflow)
}

var (
	canonicalURL = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+(\?[A-Za-z0-9._~%&=-]*)?$`)
	dotSegment   = regexp.MustCompile(`/\.{1,2}(/|\?|$)`)
	// managed matches the headers that the gate sets or drops, by their letters and digits.
	managed = regexp.MustCompile(`^(cookie2?|proxyauthorization|xrequestfrom|flowisetool|xflowiseevaluation|forwarded|xforwarded.+|xrealip|xclientip|trueclientip|via|` +
		`xoriginal.*|xrewriteurl|xhttpmethod|xhttpmethodoverride|xmethodoverride|upgrade|http2settings|te|trailer|expect|keepalive|proxyconnection|contentlength_.*)$`)
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	notAlnum   = regexp.MustCompile(`[^a-z0-9]`)
)

// forwarded judges the request line and header that the upstream received.
func (j Judge) forwarded(c Case, h Hit) []string {
	var faults []string
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if h.Via != "gate" || h.Controller == "malformed" || strings.HasPrefix(h.Controller, "crashed") {
		add("the upstream was sent something that is not HTTP: %s %s", h.Controller, h.URL)
		return faults
	}
	if !canonicalURL.MatchString(h.URL) || dotSegment.MatchString(h.URL) {
		add("the upstream was sent the URL %q, want its canonical form", h.URL)
	}
	if len(h.Trailers) > 0 {
		add("the upstream was sent the trailers %q, want none", h.Trailers)
	}
	for i := 0; i+1 < len(h.Headers); i += 2 {
		name, value := h.Headers[i], h.Headers[i+1]
		bare := notAlnum.ReplaceAllString(strings.ToLower(name), "")
		switch {
		case !headerName.MatchString(name):
			add("the upstream was sent the header %q, a name that some servers take for another", name)
		case bare == "xforwardedfor":
			if want := ClientIP(c.Index).String(); value != want {
				add("the upstream was told that the client is %q, want %s", value, want)
			}
		case bare == "authorization":
			if value != "Bearer "+j.Key {
				add("the upstream was sent the client's Authorization")
			}
		case bare == "host":
			if value != j.Upstream {
				add("the upstream was sent the Host %q, want its own", value)
			}
		case bare == "connection":
			if !strings.EqualFold(value, "close") && !strings.EqualFold(value, "keep-alive") {
				add("the upstream was sent Connection: %s", value)
			}
		case managed.MatchString(bare), strings.Contains(value, Planted):
			add("the upstream was sent the client's %s: %s", name, value)
		}
	}
	for _, name := range []string{"Host", "X-Forwarded-For", "Authorization", "Content-Length", "Content-Type"} {
		if n := len(h.Header(name)); n > 1 && name != "Content-Type" {
			add("the upstream was sent %d headers %s", n, name)
		}
	}
	return faults
}

// responded judges a response of the gate.
func (j Judge) responded(o Outcome, a Response, lines map[string]Line) []string {
	id := a.Header.Get("X-Request-Id")
	if id == "" { // from net/http, which refuses some requests by itself
		if len(a.Header["Location"]) > 0 || !slices.Contains([]int{400, 417, 431, 501, 505}, a.Status) {
			return []string{fmt.Sprintf("the response %d has no request ID", a.Status)}
		}
		return nil
	}
	for _, h := range o.Hits {
		if slices.Contains(h.Header("X-Request-Id"), id) {
			return nil // the upstream's, or the gate's about the upstream
		}
	}
	var faults []string
	if line := lines[id]; line.Decision == "allow" && a.Status < 400 {
		faults = append(faults, "the gate responded by itself to a request that it logged as allowed")
	}
	var problem struct{ Code string }
	err := json.Unmarshal(a.Body, &problem)
	isHead := bytes.HasPrefix(o.Case.Raw, []byte("HEAD "))
	if a.Status < 400 || len(a.Header["Location"]) > 0 || !isHead && (err != nil || problem.Code == "") {
		faults = append(faults, fmt.Sprintf("the response %d %q is not a refusal with a code", a.Status, a.Body))
	}
	for _, mark := range []string{Planted, "<", "evil.example"} {
		if bytes.Contains(a.Body, []byte(mark)) {
			faults = append(faults, fmt.Sprintf("the response %q repeats what the client sent", a.Body))
		}
	}
	return faults
}

// Print describes a case that failed.
func (c Case) Print(seed uint64) string {
	return fmt.Sprintf("seed %d, index %d: %s, key %s, changed by %q:\n%q", seed, c.Index, c.Route, c.Key, c.Classes, c.Raw)
}
