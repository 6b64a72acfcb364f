// Package problem defines what a client is told when a request is refused or fails: problem details as in RFC 9457, with
// a stable code. Other packages decide who is refused and why.
package problem

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Error is a refusal or failure: what the client is told, and what the operator must know. It never changes once it has
// been returned, so one value may serve many requests.
type Error struct {
	Code Code
	// Detail is sent to the client. It never repeats what the client sent.
	Detail string
	// Reason is logged. It is what the client may not know, for example that a key has expired.
	Reason string
	// RetryAfter is when a retry makes sense, sent in whole seconds. Zero is not sent.
	RetryAfter time.Duration
	// Final says that retrying makes no sense before RetryAfter. Clients that retry automatically are told not to.
	Final bool
	// Allow lists the methods that would have been accepted, for MethodNotAllowed.
	Allow string
	// Challenge replaces the usual WWW-Authenticate header of the code.
	Challenge string
}

// New returns an Error with the detail that the client is told.
func New(code Code, detail string) *Error { return &Error{Code: code, Detail: detail} }

// Error returns the code and the detail.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Detail) }

// Status returns the HTTP status of the response, or 0 if no response has the code.
func (e *Error) Status() int { return e.Code.kind().status }

// Types begins the `type` of every problem, and the code follows. It is the URL of the page that explains the codes.
const Types = "https://github.com/flowlatch/flowlatch/blob/main/docs/errors.md#"

// Write sends e as the response to the request with this ID, which must not need escaping in JSON.
func (e *Error) Write(w http.ResponseWriter, requestID string, form Form) {
	k := e.Code.kind()
	var body []byte
	if form == Sentence {
		body = []byte(k.short)
	} else {
		body = e.body(k, requestID)
	}
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = mediaTypes[form], noStore, noSniff
	if challenge := cmp.Or(e.Challenge, k.challenge); challenge != "" {
		h["Www-Authenticate"] = []string{challenge}
	}
	if e.Allow != "" {
		h["Allow"] = []string{e.Allow}
	}
	if e.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.FormatInt(Seconds(e.RetryAfter), 10)}
	}
	if e.Final {
		h["X-Should-Retry"] = []string{"false"} // read by the SDKs of OpenAI, Anthropic and others made by the same generator
	}
	if e.Code == Draining {
		h["Connection"] = []string{"close"}
	}
	w.WriteHeader(k.status)
	_, _ = w.Write(body) // a client that has left cannot be told
}

// Seconds returns a time in whole seconds, as headers have it. It rounds up, so that nobody comes back too early.
func Seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// body returns the response as JSON: the members of RFC 9457 and our own. It is put together by hand because a refusal
// must cost less than forwarding, and encoding/json would take as long as the rest of a refusal.
func (e *Error) body(k kind, requestID string) []byte {
	b := make([]byte, 0, 512)
	b = append(b, `{"type":"`+Types...)
	b = append(b, e.Code...)
	b = append(b, `","title":"`...)
	b = append(b, k.title...)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(k.status), 10)
	b = append(b, `,"detail":`...)
	b, _ = jsontext.AppendQuote(b, e.Detail) // it would replace invalid UTF-8, but there is none
	b = append(b, `,"code":"`...)
	b = append(b, e.Code...)
	b = append(b, `","request_id":"`...)
	b = append(b, requestID...)
	b = append(b, `","error":"`...)
	b = append(b, k.short...)
	return append(b, "\"}\n"...)
}

// Values of headers that every refusal has. They must not be changed.
var (
	mediaTypes = [...][]string{Document: {"application/problem+json"}, PlainJSON: {"application/json"}, Sentence: {"text/plain; charset=utf-8"}}
	noStore    = []string{"no-store"}
	noSniff    = []string{"nosniff"}
)
