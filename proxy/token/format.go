package token

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

// A token has exactly one form: three parts in base64url without padding or stray bits, a header of three members, and
// claims that are all known, each once. Package jwt is lenient with JSON, so these rules are checked here as well.

// Is reports whether text looks like a token. No other credential looks like that.
func Is(text string) bool {
	return len(text) <= maxLen && strings.HasPrefix(text, `eyJ`) && strings.Count(text, ".") == 2 // eyJ is {"
}

// strict decodes JSON whose names must be known, written exactly so, and occur only once.
func strict(data []byte, to any) error {
	return json.Unmarshal(data, to, json.RejectUnknownMembers(true))
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// readHeader returns the key ID in the header of a token, if the text and the header have the right form.
func readHeader(text string) (key string, ok bool) {
	if !Is(text) || strings.Trim(text, alphabet) != "" {
		return "", false
	}
	first, _, _ := strings.Cut(text, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return "", false
	}
	var h struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		Kid string `json:"kid"`
	}
	if err := strict(raw, &h); err != nil {
		return "", false
	}
	return h.Kid, h.Alg == jwt.SigningMethodHS256.Alg() && h.Typ == "JWT" && h.Kid != ""
}

// claims are the claims of a token. Package jwt validates none of them; Token.valid and the decision do.
type claims struct {
	jwt.RegisteredClaims `json:"-"` // makes it a jwt.Claims

	Chatflows List   `json:"aud"`
	Expires   int64  `json:"exp"`
	Issued    int64  `json:"iat"`
	User      string `json:"sub,omitzero"`
	Origins   List   `json:"origin"`
	ID        string `json:"jti"`
	Messages  *int64 `json:"n,omitzero"`
}

// UnmarshalJSON reads claims strictly.
func (c *claims) UnmarshalJSON(data []byte) error {
	type fields claims
	return strict(data, (*fields)(c))
}

// latest is the last second that a token may name. It is far in the future, but keeps arithmetic with times from
// overflowing.
const latest = 1 << 35

// complete reports whether all claims that every token has are there, with values that make sense.
func (c *claims) complete() bool {
	return c.Chatflows.complete() && c.Origins.complete() && c.ID != "" && c.Issued > 0 && c.Expires > c.Issued && c.Expires < latest &&
		(c.Messages == nil || *c.Messages > 0)
}

// List is a list of strings, which is written in JSON as a plain string if it has only one.
type List []string

// UnmarshalJSON reads a string or a list of strings.
func (o *List) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*o = make(List, 1)
		return strict(data, &(*o)[0])
	}
	return strict(data, (*[]string)(o))
}

// MarshalJSON writes a string or a list of strings.
func (o List) MarshalJSON() ([]byte, error) {
	if len(o) == 1 {
		return json.Marshal(o[0])
	}
	return json.Marshal([]string(o))
}

func (o List) complete() bool { return len(o) > 0 && !slices.Contains(o, "") }
