package proxy

import (
	"net/netip"
	"time"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/problem"
	"github.com/flowlatch/flowlatch/proxy/route"
	"github.com/flowlatch/flowlatch/proxy/token"
)

// Question is what a decision is about.
type Question struct {
	Access   route.Access
	Chatflow string // ID; empty if the request names none, or not yet
	// InBody says that the chatflow is named by a body that has not been read yet. The decision is then whether it may be
	// read.
	InBody bool
	Bearer route.Bearer
	// Page is the browser token that was presented in place of a key.
	Page token.Presented
	// OwnKey says that a client asks the gate about its own key, which no route group limits.
	OwnKey bool
	// Group is the group of the route, Client the address of the client. A key may be limited to some of either.
	Group  string
	Client netip.Addr
	// Key stands for one of the key's secrets, for asking what a key may do without having one. Without a Client, the
	// question is about an address from which the key may be used. With a Page, Key is the key of the token.
	Key *keystore.Key
}

// Decision is the answer to a Question. The zero value refuses.
type Decision struct {
	Allowed bool
	// Refusal says why the request was refused; nil if it was allowed.
	Refusal *problem.Error
	// Key is the key that was presented, valid or not; nil if it is unknown.
	Key *keystore.Key
	// Secret is the secret that was presented; nil if it is unknown, or if a browser token was presented.
	Secret *keystore.Secret
	// Opens says that the key is valid and opens what was asked for.
	Opens bool
	// Validity is the validity of the presented secret.
	Validity keystore.Validity
	// Entry is what the key file says about the chatflow: its own entry, or that of "*"; nil if there is neither.
	Entry *keystore.Chatflow
}

// Decide says whether a request may pass. It is the only place that decides this, for requests and for `flowlatch
// explain`, and depends only on its arguments.
//
// The order of the refusals hides something: without a valid key, a client cannot tell a chatflow that is listed from one
// that is not.
func Decide(s *keystore.Snapshot, q Question, now time.Time) Decision {
	match := q.match(s, now)
	d := Decision{Key: match.Key, Secret: match.Secret, Validity: match.Validity}
	listed := false
	if q.Chatflow != "" {
		d.Entry, listed = s.Chatflow(q.Chatflow)
	}
	valid := match.Validity == keystore.Valid
	var misused *problem.Error
	if valid {
		misused = q.misuses(match.Key)
	}
	d.Opens = valid && misused == nil && (q.Access == route.AnyKey || q.InBody || q.Chatflow != "" && s.Opens(match.Key, q.Chatflow))
	open := q.Access == route.Public ||
		q.Access == route.ListedOnly && listed ||
		q.Access != route.AnyKey && d.Entry != nil && d.Entry.Public ||
		q.InBody && s.AnyPublic() // the body may name a public one
	switch {
	case !q.Bearer.Present && q.Key == nil && q.Page.Token == nil && q.Page.Err == nil:
		d.Refusal = q.missing()
	case !valid:
		d.Refusal = q.invalid(match.Validity)
	case misused != nil:
		d.Refusal = misused
	default:
		d.Refusal = &keyNotForChatflow
	}
	if open || d.Opens {
		d.Allowed, d.Refusal = true, nil
	}
	return d
}

// match finds the key that was presented.
func (q *Question) match(s *keystore.Snapshot, now time.Time) keystore.Match {
	switch {
	case q.Key != nil:
		return keystore.Match{Key: q.Key, Validity: q.Key.Validity(now)}
	case q.Page.Token != nil:
		return q.matchToken(s, now)
	case q.Bearer.Token != "":
		return s.Match(keystore.DigestOf(q.Bearer.Token), now)
	}
	return keystore.Match{}
}

// misuses returns why a valid key must not be used for this question, whatever chatflows it opens; nil if it may.
func (q *Question) misuses(k *keystore.Key) *problem.Error {
	switch {
	case !k.MayComeFrom(q.Client) && (q.Key == nil || q.Client.IsValid()):
		return &keyNotForAddress
	case !q.OwnKey && !k.MayUse(q.Group):
		return &keyNotForGroup
	case q.Page.Token != nil:
		return q.exceedsToken(k)
	}
	return nil
}

// Refusals that are always the same.
var (
	missingKey = problem.Error{
		Code: problem.MissingKey, Detail: "send your API key as `Authorization: Bearer KEY`", Reason: "no bearer token",
	}
	keyNotForChatflow = notForKey("key is not listed for the chatflow")
	keyNotForAddress  = notForKey("key may not be used from this address, which is not in its `from`")
	keyNotForGroup    = notForKey("key may not use routes of this group, which is not in its `groups`")
	invalidKeys       = map[keystore.Validity]*problem.Error{
		keystore.Unknown:     invalidKey("unknown key"),
		keystore.Honey:       invalidKey("honey key: whoever sends it has found it where it was planted"),
		keystore.Disabled:    invalidKey("key is disabled"),
		keystore.NotYetValid: invalidKey("key is not valid yet"),
		keystore.Expired:     invalidKey("key has expired"),
	}
	malformedKey = invalidKey("malformed bearer token")
	mistypedKey  = invalidKey("mistyped key: wrong checksum")
)

// notForKey returns the response for a valid key that does not open what was asked for. It is the same whatever the
// reason, which only the operator learns.
func notForKey(reason string) problem.Error {
	return problem.Error{Code: problem.KeyNotForChatflow, Detail: "this API key is not for this chatflow", Reason: reason}
}

// invalidKey returns the response for an invalid key. It is the same whatever the reason, which only the operator learns.
func invalidKey(reason string) *problem.Error {
	return &problem.Error{Code: problem.InvalidKey, Detail: "this API key is not valid", Reason: reason}
}

// missing returns the response to a client without a key. Only the operator learns why its cookie does not count.
func (q *Question) missing() *problem.Error {
	if q.Page.CookieFault == "" {
		return &missingKey
	}
	refusal := missingKey
	refusal.Reason = "no bearer token, and the cookie does not count: " + q.Page.CookieFault
	return &refusal
}

// invalid returns the response to a client whose key has this validity.
func (q *Question) invalid(v keystore.Validity) *problem.Error {
	mistyped := keystore.Mistyped(q.Bearer.Token) // computed in any case, so that the time taken reveals nothing
	if refusal := q.invalidToken(v); refusal != nil {
		return refusal
	}
	switch {
	case q.Key == nil && q.Bearer.Token == "":
		return malformedKey
	case v == keystore.Unknown && mistyped:
		return mistypedKey
	}
	return invalidKeys[v]
}
