package problem

import (
	"net/http"
	"slices"
)

// Code names one kind of refusal or failure. Responses, log lines and metrics carry it.
type Code string

// The codes of responses that come from flowlatch itself.
const (
	NotCanonical         Code = "not_canonical"
	BadChatflowID        Code = "bad_chatflow_id"
	BadRequest           Code = "bad_request"
	MissingKey           Code = "missing_key"
	InvalidKey           Code = "invalid_key"
	KeyNotForChatflow    Code = "key_not_for_chatflow"
	NotExposed           Code = "not_exposed"
	MethodNotAllowed     Code = "method_not_allowed"
	BodyTooLarge         Code = "body_too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	FieldNotAllowed      Code = "field_not_allowed"
	TooManyFailures      Code = "too_many_failures"
	RateLimited          Code = "rate_limited"
	TooManyConcurrent    Code = "too_many_concurrent"
	QuotaExceeded        Code = "quota_exceeded"
	Overloaded           Code = "overloaded"
	UpstreamUnreachable  Code = "upstream_unreachable"
	UpstreamTimeout      Code = "upstream_timeout"
	Draining             Code = "draining"
	InternalError        Code = "internal_error"
)

// Codes that occur only in log lines: the response had begun, or there was nobody left to receive one.
const (
	ClientClosed      Code = "client_closed"
	UpstreamBroken    Code = "upstream_broken"
	DrainTimeout      Code = "drain_timeout"
	KeyRevoked        Code = "key_revoked"
	StreamLimit       Code = "stream_limit"
	AllowedWithoutKey Code = "allowed_without_key" // this and the next one count log lines that were left out
	HoneyKey          Code = "honey_key"
)

// kind is what all responses with one code have in common.
type kind struct {
	code      Code
	status    int
	title     string
	short     string // member "error": a sentence for the visitor of a web page, which Flowise's widget shows
	challenge string // WWW-Authenticate (RFC 6750, section 3)
}

// Realm begins every WWW-Authenticate header.
const Realm = `Bearer realm="flowlatch"`

// kinds are in the order in which the status page shows them: refused keys first, then requests, then the upstream.
var kinds = []kind{
	{MissingKey, http.StatusUnauthorized, "API key required", "This chat needs an API key.", Realm},
	{InvalidKey, http.StatusUnauthorized, "Invalid API key", "The API key of this chat is not valid.", Realm + `, error="invalid_token"`},
	{KeyNotForChatflow, http.StatusForbidden, "API key does not open this chatflow", "The API key is not allowed to use this chat.", Realm + `, error="insufficient_scope"`},
	{TooManyFailures, http.StatusTooManyRequests, "Too many requests without a valid API key", "Too many attempts. Please try again later.", ""},
	{RateLimited, http.StatusTooManyRequests, "Rate limit exceeded", "Too many messages in a short time. Please try again in a moment.", ""},
	{TooManyConcurrent, http.StatusTooManyRequests, "Limit of requests at once exceeded", "Too many answers are being written at once. Please try again in a moment.", ""},
	{QuotaExceeded, http.StatusTooManyRequests, "Quota used up", "This chat has been used as much as it may be for now. Please try again later.", ""},
	{NotExposed, http.StatusNotFound, "Not found", "This is not available here.", ""},
	{MethodNotAllowed, http.StatusMethodNotAllowed, "Method not allowed", "This is not available here.", ""},
	{NotCanonical, http.StatusBadRequest, "Request target not in canonical form", "The request is malformed.", ""},
	{BadChatflowID, http.StatusBadRequest, "Malformed chatflow ID", "There is no such chat.", ""},
	{BadRequest, http.StatusBadRequest, "Bad request", "The request is malformed.", ""},
	{FieldNotAllowed, http.StatusForbidden, "Member not allowed in the request body", "This chat does not accept a part of the message.", ""},
	{UnsupportedMediaType, http.StatusUnsupportedMediaType, "Unsupported media type", "This chat does not accept this kind of message.", ""},
	{BodyTooLarge, http.StatusRequestEntityTooLarge, "Request body too large", "The message or file is too large.", ""},
	{Overloaded, http.StatusServiceUnavailable, "Too many requests at once", "The service is busy. Please try again in a moment.", ""},
	{UpstreamUnreachable, http.StatusBadGateway, "Upstream unreachable", "The service cannot be reached. Please try again later.", ""},
	{UpstreamTimeout, http.StatusGatewayTimeout, "Upstream did not respond in time", "The service did not respond in time. Please try again later.", ""},
	{Draining, http.StatusServiceUnavailable, "Shutting down", "The service is restarting. Please try again in a moment.", ""},
	{InternalError, http.StatusInternalServerError, "Internal error", "Something went wrong. Please try again later.", ""},
}

// Codes returns the codes of responses, in the order in which the status page shows them.
func Codes() []Code {
	codes := make([]Code, len(kinds))
	for i, k := range kinds {
		codes[i] = k.code
	}
	return codes
}

// Index returns the index of c in [Codes], or -1 if no response has it.
func (c Code) Index() int {
	return slices.IndexFunc(kinds, func(k kind) bool { return k.code == c })
}

// kind returns the kind of c, or the zero kind if no response has it.
func (c Code) kind() kind {
	if i := c.Index(); i >= 0 {
		return kinds[i]
	}
	return kind{}
}
