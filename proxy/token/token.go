// Package token mints browser tokens, which a web page sends in place of an API key, and reads and verifies those in
// requests.
//
// A token is a JWT (RFC 7519), signed by HMAC-SHA256 with the gate's own secrets, never with anything in the key file, so
// reading the key file does not enable anyone to mint tokens. It names its parent, the key that it was minted with.
// Package proxy looks up the parent for every request, and decides what the token opens.
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

// Token is the content of a browser token. It does not change once it has been verified.
type Token struct {
	// Key is the ID of the key that the token was minted with.
	Key string
	// Chatflows are those that the token is for, Origins those of the pages that may use it.
	Chatflows, Origins []string
	// User is whom the token was minted for, in the words of whoever minted it; empty if it is for nobody in particular.
	User string
	// Messages is how many messages may be sent with the token. Zero means any number.
	Messages int64
	// ID is different for every token. Mint sets it.
	ID string
	// Issued and Expires are when the token becomes valid and when it ends, in whole seconds.
	Issued, Expires time.Time

	userHash string
}

// UserHash stands for the key's user in logs and wherever users are told apart. It is the first 16 hexadecimal digits of
// the SHA-256 of the key's ID, a zero byte and the user.
func (t *Token) UserHash() string { return t.userHash }

func hashUser(key, user string) string {
	sum := sha256.Sum256([]byte(key + "\x00" + user))
	return hex.EncodeToString(sum[:8])
}

// Life returns for how long the token is valid, from Issued to Expires.
func (t *Token) Life() time.Duration { return t.Expires.Sub(t.Issued) }

// maxLen is the largest size of a token, in bytes.
const maxLen = 1024

// Mint returns a token as text, with a new ID. The error says that the text would be too long.
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
	if err == nil && len(text) > maxLen {
		err = fmt.Errorf("the token would have %d bytes, and may have %d; name fewer chatflows or origins, or a shorter user", len(text), maxLen)
	}
	return text, err
}

// Why a token is not valid. The messages are for operators.
var (
	ErrMalformed = errors.New("malformed browser token")
	ErrSignature = errors.New("browser token with a wrong signature: it was minted with other secrets than those of this gate")
	ErrExpired   = errors.New("browser token has expired")
	ErrNotYet    = errors.New("browser token was issued in the future: is a clock wrong?")
)

// maxSeen is how many verified tokens are remembered, by the SHA-256 of their text, because a page sends the same one
// again and again. Beyond it, those that were not sent for longest are verified again.
const maxSeen = 10_000

// maxSkew is how far the clocks of two gates may differ.
const maxSkew = 30 * time.Second

// Verify returns the token in text, or one of the errors above. With ErrExpired and ErrNotYet, it returns the token as
// well. A token that was verified before costs no more than a key. Verify may be called concurrently.
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

// Forget forgets the verified tokens that have expired at now.
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

// verify returns the token in text if one of the secrets has signed it, whatever the time.
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
