package proxy

import (
	"time"

	"github.com/flowlatch/flowlatch/keystore"
)

// Access says what a route asks of a caller.
type Access uint8

// What a route can ask of a caller.
const (
	ChatflowKey Access = iota // a key for the chatflow, unless the chatflow is public
	AnyKey                    // any valid key: the request names no chatflow
	ListedOnly                // nothing, if the chatflow is listed; else as ChatflowKey
	Public                    // nothing
)

// Question is what a decision is about.
type Question struct {
	Access   Access
	Chatflow string // ID; empty if the request names none, or not yet
	Token    string // the Bearer token, or empty
	Bearer   bool   // there is a Bearer credential; with an empty Token, a malformed one
	// Key stands for one of its secrets, for asking what a key may do without having a secret.
	Key *keystore.Key
}

// Decision is the answer to a Question.
type Decision struct {
	Allowed bool
	// Refusal says why not.
	Refusal *Error
	// Key is the key that was presented, valid or not; nil if it is unknown.
	Key *keystore.Key
	// Secret is the secret that was presented; nil if it is unknown.
	Secret *keystore.Secret
	// Opens says that the key is valid and opens what was asked for.
	Opens bool
	// Validity is what the presented key's secret is now.
	Validity keystore.Validity
	// Chatflow is what the key file says of the chatflow: its own entry or "*"; nil if neither.
	Chatflow *keystore.Chatflow
}

// refused is d with a refusal for a reason that lies outside the keys.
func (d Decision) refused(err *Error) Decision {
	d.Allowed, d.Refusal = false, err
	return d
}

// bodyPolicy is what the chatflow says of bodies.
func (d Decision) bodyPolicy() keystore.BodyPolicy {
	if d.Chatflow == nil {
		return keystore.BodyPolicy{}
	}
	return d.Chatflow.Body
}

// Decide says whether a request may pass. It is the only place that does, for requests and for
// `flowlatch explain` alike, and depends on nothing but its arguments.
//
// The order of the refusals keeps a secret: without a valid key, a chatflow that is listed cannot be
// told from one that is not.
func Decide(s *keystore.Snapshot, q Question, now time.Time) Decision {
	var d Decision
	var match keystore.Match
	switch {
	case q.Key != nil:
		match = keystore.Match{Key: q.Key, Validity: q.Key.Validity(now)}
	case q.Token != "":
		match = s.Match(keystore.DigestOf(q.Token), now)
	}
	d.Key, d.Secret, d.Validity = match.Key, match.Secret, match.Validity
	var chatflow *keystore.Chatflow
	listed := false
	if q.Chatflow != "" {
		chatflow, listed = s.Chatflow(q.Chatflow)
	}
	d.Chatflow = chatflow

	valid := match.Validity == keystore.Valid
	open := q.Access == Public ||
		q.Access == ListedOnly && listed ||
		q.Access != AnyKey && chatflow != nil && chatflow.Public
	switch {
	case !q.Bearer && q.Key == nil:
		d.Refusal = &missingKey
	case !valid:
		d.Refusal = refuseKey(q, match.Validity)
	default:
		d.Refusal = &keyNotForChatflow
	}
	d.Opens = valid && (q.Access == AnyKey || q.Chatflow != "" && s.Opens(match.Key, q.Chatflow))
	if open || d.Opens {
		d.Allowed, d.Refusal = true, nil
	}
	return d
}

// Refusals that are the same each time.
var (
	missingKey = Error{
		Code: CodeMissingKey, Detail: "send your API key as `Authorization: Bearer KEY`", Reason: "no bearer token",
	}
	keyNotForChatflow = Error{
		Code: CodeKeyNotForFlow, Detail: "this API key is not for this chatflow", Reason: "key is not listed for the chatflow",
	}
	invalidKeys = map[keystore.Validity]*Error{
		keystore.Unknown:     invalidKey("unknown key"),
		keystore.Disabled:    invalidKey("key is disabled"),
		keystore.NotYetValid: invalidKey("key is not valid yet"),
		keystore.Expired:     invalidKey("key has expired"),
	}
	malformedKey = invalidKey("malformed bearer token")
	mistypedKey  = invalidKey("mistyped key: its checksum does not fit")
)

// invalidKey is one answer whatever the reason, which only the operator learns.
func invalidKey(reason string) *Error {
	return &Error{Code: CodeInvalidKey, Detail: "this API key is not valid", Reason: reason}
}

func refuseKey(q Question, v keystore.Validity) *Error {
	mistyped := keystore.Mistyped(q.Token) // looked at whether it matters or not: it takes time, which must not tell
	switch {
	case q.Key == nil && q.Token == "":
		return malformedKey
	case v == keystore.Unknown && mistyped:
		return mistypedKey
	}
	return invalidKeys[v]
}
