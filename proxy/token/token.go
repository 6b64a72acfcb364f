// Package token mints browser tokens, which a web page sends in place of an API key, and reads and verifies those of requests.
//
// A token is a JWT (RFC 7519), signed by HMAC-SHA256 with secrets of the gate's own, never with anything that the key file
// has: whoever reads the key file can mint nothing. It names the key that it was minted with, its parent. Package proxy looks
// that up with every request, and decides what the token opens.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Token is what a browser token says. It does not change once it has been verified.
type Token struct {
	// Key is the ID of the key that it was minted with.
	Key string
	// Chatflows are those that it is for, Origins those of the pages that may use it.
	Chatflows, Origins []string
	// User is whom it was minted for, in the words of whoever minted it; empty for nobody in particular.
	User string
	// Messages is how many messages may be sent with it. Zero means any number.
	Messages int64
	// ID tells it from all others. Mint makes it.
	ID string
	// Issued and Expires are when it begins and ends, in whole seconds.
	Issued, Expires time.Time

	userHash string
}

// UserHash stands for the user of the key in logs and where users are told apart: the first 16 hexadecimal digits of the
// SHA-256 of the key's ID, a zero byte and the user.
func (t *Token) UserHash() string { return t.userHash }

func hashUser(key, user string) string {
	sum := sha256.Sum256([]byte(key + "\x00" + user))
	return hex.EncodeToString(sum[:8])
}

// Life is how long the token is valid in all.
func (t *Token) Life() time.Duration { return t.Expires.Sub(t.Issued) }

// MaxLen is the most bytes of a token.
const MaxLen = 1024

// Mint returns the text of a token, with a new ID. The error says that it would be too long.
func (s *Secrets) Mint(t Token) (string, error) {
	var id [12]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	c := &claims{
		Chatflows: t.Chatflows, Origins: t.Origins, User: t.User, ID: hex.EncodeToString(id[:]),
		Issued: t.Issued.Unix(), Expires: t.Expires.Unix(),
	}
	if t.Messages > 0 {
		c.Messages = &t.Messages
	}
	j := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	j.Header["kid"] = t.Key
	text, err := j.SignedString(s.current().keys[0])
	if err == nil && len(text) > MaxLen {
		err = fmt.Errorf("the token would have %d bytes, and may have %d; name fewer chatflows or origins, or a shorter user", len(text), MaxLen)
	}
	return text, err
}

// Why a token is not valid. The texts are for operators.
var (
	ErrMalformed = errors.New("malformed browser token")
	ErrSignature = errors.New("browser token with a wrong signature: it was minted with other secrets than those of this gate")
	ErrExpired   = errors.New("browser token has expired")
	ErrNotYet    = errors.New("browser token was issued in the future: is a clock wrong?")
)

// maxSeen is how many tokens are remembered that were verified, by the SHA-256 of their texts: a page sends the same one again
// and again. If there are more, those that were not sent for longest are verified again.
const maxSeen = 10_000

// maxSkew is how far the clocks of two gates may differ.
const maxSkew = 30 * time.Second

// Verify returns the token that text is, or one of the errors above; with ErrExpired, the token as well. A token that was
// verified before costs no more than a key. It may be called concurrently.
func (s *Secrets) Verify(text string, now time.Time) (*Token, error) {
	state := s.current()
	digest := sha256.Sum256([]byte(text))
	t, ok := state.seen.get(digest)
	if !ok {
		var err error
		if t, err = state.verify(text); err != nil {
			return nil, err
		}
		t = state.seen.of(digest, t)
	}
	return t, t.valid(now)
}

// Forget forgets the tokens that have expired at now.
func (s *Secrets) Forget(now time.Time) {
	s.current().seen.drop(func(t *Token) bool { return !now.Before(t.Expires) })
}

// valid returns why the token is not valid at now, or nil.
func (t *Token) valid(now time.Time) error {
	switch {
	case !now.Before(t.Expires):
		return ErrExpired
	case t.Issued.After(now.Add(maxSkew)):
		return ErrNotYet
	}
	return nil
}

// verify returns the token that text is if one of the secrets has signed it, whatever time it is.
func (s *state) verify(text string) (*Token, error) {
	key, ok := readHeader(text)
	if !ok {
		return nil, ErrMalformed
	}
	var c claims
	_, err := s.parser.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) {
		return jwt.VerificationKeySet{Keys: s.keys}, nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return nil, ErrSignature
	case err != nil || !c.complete():
		return nil, ErrMalformed
	}
	t := &Token{
		Key: key, Chatflows: slices.Clone(c.Chatflows), Origins: slices.Clone(c.Origins), User: c.User, ID: c.ID,
		Issued: time.Unix(c.Issued, 0), Expires: time.Unix(c.Expires, 0), userHash: hashUser(key, c.User),
	}
	if c.Messages != nil {
		t.Messages = *c.Messages
	}
	return t, nil
}
