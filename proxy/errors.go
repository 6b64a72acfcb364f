package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Code names one kind of refusal or failure. It stands in answers, log lines and metrics.
type Code string

// The codes of all answers that are flowlatch's own.
const (
	CodeNotCanonical     Code = "not_canonical"
	CodeBadChatflowID    Code = "bad_chatflow_id"
	CodeBadRequest       Code = "bad_request"
	CodeMissingKey       Code = "missing_key"
	CodeInvalidKey       Code = "invalid_key"
	CodeKeyNotForFlow    Code = "key_not_for_chatflow"
	CodeNotExposed       Code = "not_exposed"
	CodeMethod           Code = "method_not_allowed"
	CodeBodyTooLarge     Code = "body_too_large"
	CodeUnsupportedMedia Code = "unsupported_media_type"
	CodeFieldNotAllowed  Code = "field_not_allowed"
	CodeTooManyFailures  Code = "too_many_failures"
	CodeOverloaded       Code = "overloaded"
	CodeUnreachable      Code = "upstream_unreachable"
	CodeUpstreamSlow     Code = "upstream_timeout"
	CodeDraining         Code = "draining"
	codeClientClosed     Code = "client_closed"       // log lines only: nobody is left to answer
	codeUpstreamBroken   Code = "upstream_broken"     // log lines only: the answer had begun
	codeDrainCut         Code = "drain_timeout"       // log lines only: the answer had begun
	codeKeyRevoked       Code = "key_revoked"         // log lines only: the answer had begun
	codeWithoutKey       Code = "allowed_without_key" // counts of log lines only
	codePanic            Code = "internal_error"      // log lines only: the connection is cut
)

type answer struct {
	status    int
	title     string
	short     string // what Flowise's widget shows its user
	challenge string // RFC 6750 section 3
}

const realm = `Bearer realm="flowlatch"`

var answers = map[Code]answer{
	CodeNotCanonical:     {http.StatusBadRequest, "Request target not in canonical form", "bad request", ""},
	CodeBadChatflowID:    {http.StatusBadRequest, "Malformed chatflow ID", "bad chatflow ID", ""},
	CodeBadRequest:       {http.StatusBadRequest, "Bad request", "bad request", ""},
	CodeMissingKey:       {http.StatusUnauthorized, "API key required", "API key required", realm},
	CodeInvalidKey:       {http.StatusUnauthorized, "Invalid API key", "invalid API key", realm + `, error="invalid_token"`},
	CodeKeyNotForFlow:    {http.StatusForbidden, "API key does not open this chatflow", "not allowed with this API key", realm + `, error="insufficient_scope"`},
	CodeNotExposed:       {http.StatusNotFound, "Not found", "not found", ""},
	CodeMethod:           {http.StatusMethodNotAllowed, "Method not allowed", "method not allowed", ""},
	CodeBodyTooLarge:     {http.StatusRequestEntityTooLarge, "Request body too large", "request too large", ""},
	CodeUnsupportedMedia: {http.StatusUnsupportedMediaType, "Unsupported media type", "this form of request is not taken here", ""},
	CodeFieldNotAllowed:  {http.StatusForbidden, "Member not allowed in the request body", "not allowed here", ""},
	CodeTooManyFailures:  {http.StatusTooManyRequests, "Too many requests without a valid API key", "too many attempts, try again later", ""},
	CodeOverloaded:       {http.StatusServiceUnavailable, "Too many large requests", "the service is busy, try again", ""},
	CodeUnreachable:      {http.StatusBadGateway, "Flow runner unreachable", "the service is not reachable, try again later", ""},
	CodeUpstreamSlow:     {http.StatusGatewayTimeout, "Flow runner did not answer in time", "the service did not answer in time", ""},
	CodeDraining:         {http.StatusServiceUnavailable, "Shutting down", "the service is restarting, try again", ""},
}

// Error is a refusal or failure: what the caller is told and what the operator must know.
type Error struct {
	Code Code
	// Detail is sent to the caller. It never repeats what the caller sent.
	Detail string
	// Reason is logged: what the caller may not know, such as that a key has expired.
	Reason string
	// RetryAfter is when it is worth trying again, told in whole seconds. Zero is not told.
	RetryAfter time.Duration
	// Allow are the methods that would have been accepted, for CodeMethod.
	Allow string
	// challenge replaces the usual one.
	challenge string
}

// Error returns the code and the detail.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Detail) }

// Status is the HTTP status of the answer.
func (e *Error) Status() int { return answers[e.Code].status }

// problem is the body of an error answer: RFC 9457, and "error" for Flowise's widget.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      Code   `json:"code"`
	RequestID string `json:"request_id"`
	Error     string `json:"error"`
}

// ProblemTypes is what the `type` of every error answer begins with; the code follows. It is where codes
// are explained.
const ProblemTypes = "https://github.com/flowlatch/flowlatch/blob/main/docs/errors.md#"

func (e *Error) write(w http.ResponseWriter, requestID string) {
	a := answers[e.Code]
	body, err := json.Marshal(problem{
		Type: ProblemTypes + string(e.Code), Title: a.title, Status: a.status, Detail: e.Detail,
		Code: e.Code, RequestID: requestID, Error: a.short,
	})
	if err != nil { // strings and a number: cannot happen
		panic(err)
	}
	body = append(body, '\n')
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = asProblem, noStore, noSniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	switch {
	case e.challenge != "":
		h["Www-Authenticate"] = []string{e.challenge}
	case a.challenge != "":
		h["Www-Authenticate"] = []string{a.challenge}
	}
	if e.Allow != "" {
		h["Allow"] = []string{e.Allow}
	}
	if e.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10)}
	}
	if e.Code == CodeDraining {
		h["Connection"] = []string{"close"}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // a caller that is gone cannot be told
}

// Values of headers that every refusal has. Nobody changes them.
var (
	asProblem = []string{"application/problem+json"}
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
)
