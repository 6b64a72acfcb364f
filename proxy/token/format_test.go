package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	goodHeader = `{"alg":"HS256","kid":"acme-web","typ":"JWT"}`
	goodClaims = `{"aud":"x","exp":1795870000,"iat":1795867200,"sub":"42","origin":"https://www.example.com","jti":"0123456789abcdef","n":50}`
)

// sign makes a token with any header and claims, signed with one of the gate's secrets.
func sign(header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return text + "." + signature(text)
}

func signature(text string) string {
	secret, _ := base64.StdEncoding.DecodeString(secretText(1))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestForm has tokens with a valid signature: a token must have the one form, whoever signed it.
func TestForm(t *testing.T) {
	s := secretsOf(t, secretText(1))
	claims := func(old, next string) string { return sign(goodHeader, strings.Replace(goodClaims, old, next, 1)) }
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"as minted":               {sign(goodHeader, goodClaims), true},
		"header in another order": {sign(`{"typ":"JWT","alg":"HS256","kid":"acme-web"}`, goodClaims), true},
		"lists":                   {claims(`"aud":"x"`, `"aud":["x","y"]`), true},
		"white space in claims":   {claims(`{"aud"`, `{ "aud"`), true},
		"no user":                 {claims(`"sub":"42",`, ``), true},
		"no limit of messages":    {claims(`,"n":50`, ``), true},

		"unknown claim":        {claims(`"jti"`, `"sid":"1","jti"`), false},
		"claim in capitals":    {claims(`"exp"`, `"EXP"`), false},
		"both":                 {claims(`"exp":1795870000`, `"exp":1795870000,"EXP":9999999999`), false},
		"claim twice":          {claims(`"aud":"x"`, `"aud":"x","aud":"y"`), false},
		"claim twice, escape":  {claims(`"aud":"x"`, `"aud":"x","\u0061ud":"y"`), false},
		"list of nothing":      {claims(`"aud":"x"`, `"aud":[]`), false},
		"list in a list":       {claims(`"aud":"x"`, `"aud":[["x"]]`), false},
		"nothing in a list":    {claims(`"aud":"x"`, `"aud":["x",null]`), false},
		"messages: 0":          {claims(`"n":50`, `"n":0`), false},
		"messages: null":       {claims(`"n":50`, `"n":null`), true}, // like none
		"messages: less":       {claims(`"n":50`, `"n":-1`), false},
		"messages: text":       {claims(`"n":50`, `"n":"50"`), false},
		"time as an exponent":  {claims(`1795870000`, `1e999`), false},
		"time as 1795870e3":    {claims(`1795870000`, `1795870e3`), false},
		"time as a fraction":   {claims(`1795870000`, `1795870000.5`), false},
		"time as text":         {claims(`1795870000`, `"1795870000"`), false},
		"time beyond any":      {claims(`1795870000`, `9223372036854775807`), false},
		"no time":              {claims(`"exp":1795870000,`, ``), false},
		"null for a time":      {claims(`1795870000`, `null`), false},
		"ends at its begin":    {claims(`1795870000`, `1795867200`), false},
		"ends before it":       {claims(`1795870000`, `1`), false},
		"user as a number":     {claims(`"sub":"42"`, `"sub":42`), false},
		"no ID":                {claims(`"jti":"0123456789abcdef"`, `"jti":""`), false},
		"two values":           {sign(goodHeader, goodClaims+"{}"), false},
		"no object":            {sign(goodHeader, `["aud"]`), false},
		"a line feed in it":    {strings.Replace(sign(goodHeader, goodClaims), ".", ".\n", 1), false},
		"a line feed after it": {sign(goodHeader, goodClaims) + "\n", false},
		"padding":              {sign(goodHeader, goodClaims) + "=", false},
		"not UTF-8":            {claims(`"42"`, "\"\xff\""), false},
		"half a surrogate":     {claims(`"42"`, `"\ud800"`), false},
	} {
		if _, err := s.current().verify(tt.text); (err == nil) != tt.want {
			t.Errorf("%s: verify = %v, want it accepted: %t", name, err, tt.want)
		}
	}
}

// FuzzVerify: whatever is accepted was signed by the gate, and says in the one form what a minted token can say.
func FuzzVerify(f *testing.F) {
	f.Add(goodHeader, goodClaims, "", true)
	f.Add(goodHeader, goodClaims, signature(base64.RawURLEncoding.EncodeToString([]byte(goodHeader))+"."+base64.RawURLEncoding.EncodeToString([]byte(goodClaims))), false)
	f.Add(`{"alg":"none"}`, goodClaims, "", false)
	f.Add(goodHeader, `{"aud":["x","y"],"exp":2,"iat":1,"origin":"o","jti":"j"}`, "", true)
	f.Add(goodHeader, strings.Replace(goodClaims, `"n":50`, `"n":50,"N":1`, 1), "=", true)
	s := secretsOf(f, secretText(1))
	f.Fuzz(func(t *testing.T, header, body, tail string, signed bool) {
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
		right := text + "." + signature(text)
		if text += "." + tail; signed {
			text = right + tail
		}
		token, err := s.current().verify(text)
		if err != nil {
			return
		}
		if text != right {
			t.Fatalf("accepted %q, of which %q is the one form", text, right)
		}
		again, err := s.Mint(*token)
		if err != nil {
			t.Fatalf("what was accepted cannot be minted: %v", err)
		}
		parts := strings.Split(again, ".")
		for i, original := range []string{header, body} {
			minted, _ := base64.RawURLEncoding.DecodeString(parts[i])
			if diff := cmp.Diff(meaning(t, []byte(original)), meaning(t, minted)); diff != "" {
				t.Fatalf("accepted %s, which is minted as %s (-accepted +minted):\n%s", original, minted, diff)
			}
		}
	})
}

// meaning returns the content of JSON, without the token's ID, which is new each time, and with one-item lists replaced
// by their item.
func meaning(t *testing.T, data []byte) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "jti")
	for name, v := range m {
		if list, ok := v.([]any); ok && len(list) == 1 {
			m[name] = list[0]
		}
		if v == nil || v == "" && slices.Contains([]string{"sub"}, name) {
			delete(m, name)
		}
	}
	return m
}
