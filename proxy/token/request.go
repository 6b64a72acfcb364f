package token

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/flowlatch/flowlatch/keystore"
)

// Request is what the holder of a key asks of a new token.
type Request struct {
	Chatflows, Origins []string
	// User is whom the token is for; empty if it is for nobody in particular.
	User string
	// TTL is how long the token should be valid. Zero means as long as the key allows.
	TTL time.Duration
	// Messages is how many messages may be sent with it. Zero means any number.
	Messages int64
}

// The bounds of a request.
const (
	maxListed   = 16  // chatflows, or origins
	maxUser     = 200 // bytes
	maxMessages = 1_000_000
)

// RequestError says what is wrong with a request. It does not repeat the request's values.
type RequestError struct {
	// NotAllowed says that the key may not have such a token. If false, the request makes no sense.
	NotAllowed bool
	Faults     []string
}

// Error returns all faults.
func (e *RequestError) Error() string { return strings.Join(e.Faults, "; ") }

func (e *RequestError) add(notAllowed bool, format string, args ...any) {
	e.NotAllowed = e.NotAllowed || notAllowed
	e.Faults = append(e.Faults, fmt.Sprintf(format, args...))
}

// Of returns the token that the holder of k asks for. The error is a [RequestError] with everything that is wrong.
func (r Request) Of(k *keystore.Key, s *keystore.Snapshot, now time.Time) (Token, error) {
	if k.Browser == nil {
		return Token{}, &RequestError{NotAllowed: true, Faults: []string{"no browser tokens can be minted with this API key: it has no `browser:` in the key file"}}
	}
	e := &RequestError{}
	r.checkLists(e, k, s)
	if !isUser(r.User) {
		e.add(false, "user: want at most %d bytes of printable text", maxUser)
	}
	switch {
	case r.TTL == 0:
		r.TTL = k.Browser.MaxTTL
	case r.TTL < time.Second || r.TTL%time.Second != 0:
		e.add(false, "ttl: want whole seconds, at least 1")
	case r.TTL > k.Browser.MaxTTL:
		e.add(true, "ttl: this API key allows at most %d seconds", k.Browser.MaxTTL/time.Second)
	}
	if r.Messages < 0 || r.Messages > maxMessages {
		e.add(false, "messages: want a number from 1 to %d", maxMessages)
	}
	if e.Faults != nil {
		return Token{}, e
	}
	issued := now.Truncate(time.Second)
	t := Token{
		Key: k.ID, Chatflows: r.Chatflows, Origins: r.Origins, User: r.User, Messages: r.Messages,
		Issued: issued, Expires: issued.Add(r.TTL),
	}
	if end := k.NotAfter().Truncate(time.Second); !end.IsZero() && end.Before(t.Expires) && end.After(issued) {
		t.Expires = end
	}
	return t, nil
}

func (r Request) checkLists(e *RequestError, k *keystore.Key, s *keystore.Snapshot) {
	if n := len(r.Chatflows); n == 0 || n > maxListed {
		e.add(false, "chatflow: want the ID of a chatflow, or up to %d", maxListed)
	}
	if slices.ContainsFunc(r.Chatflows, func(id string) bool { return !s.Opens(k, id) || keystore.ValidateID(id) != nil }) {
		e.add(true, "chatflow: this API key is not for this chatflow")
	}
	if n := len(r.Origins); n == 0 || n > maxListed {
		e.add(false, "origin: want the origin of the page, such as https://www.example.com, or up to %d", maxListed)
	}
	if slices.ContainsFunc(r.Origins, func(o string) bool { return !slices.Contains(k.Browser.Origins, o) }) {
		e.add(true, "origin: it is not among the `origins` of this API key")
	}
}

func isUser(s string) bool {
	return len(s) <= maxUser && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
