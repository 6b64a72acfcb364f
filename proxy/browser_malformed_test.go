package proxy_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

var signingBytes = []byte("0123456789abcdefghijklmnopqrstuv") // the same secret as signingSecret

const goodHeader = `{"alg":"HS256","kid":"web","typ":"JWT"}`

// goodClaims are the claims of a token that is valid for ten minutes.
func goodClaims() string {
	now := time.Now().Unix()
	return fmt.Sprintf(`{"aud":"%s","exp":%d,"iat":%d,"sub":"x","origin":"%s","jti":"0123456789abcdef"}`, botA, now+600, now, pageOrigin)
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// signedBy makes a token with any header and claims.
func signedBy(secret []byte, header, claims string) string {
	return macOf(secret, b64(header)+"."+b64(claims))
}

// macOf appends the signature to the first two parts of a token.
func macOf(secret []byte, text string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// malformedTokens are invalid tokens, most of them with a valid signature.
func malformedTokens(t *testing.T) map[string]string {
	t.Helper()
	claims := goodClaims()
	good := signedBy(signingBytes, goodHeader, claims)
	parts := strings.Split(good, ".")
	header := func(h string) string { return signedBy(signingBytes, h, claims) }
	claim := func(old, next string) string {
		t.Helper()
		if !strings.Contains(claims, old) {
			t.Fatalf("claims have no %s", old)
		}
		return signedBy(signingBytes, goodHeader, strings.Replace(claims, old, next, 1))
	}
	_, exp, _ := strings.Cut(claims, `"exp":`)
	exp, _, _ = strings.Cut(exp, ",")
	sha := func(text string, sum func([]byte) []byte) string {
		return text + "." + base64.RawURLEncoding.EncodeToString(sum([]byte(text)))
	}
	key, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is refused before the key matters
	if err != nil {
		t.Fatal(err)
	}
	rs := sha(b64(strings.Replace(goodHeader, "HS256", "RS256", 1))+"."+b64(claims), func(text []byte) []byte {
		sum := sha256.Sum256(text)
		s, _ := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		return s
	})
	hs512 := sha(b64(strings.Replace(goodHeader, "HS256", "HS512", 1))+"."+b64(claims), func(text []byte) []byte {
		mac := hmac.New(sha512.New, signingBytes)
		mac.Write(text)
		return mac.Sum(nil)
	})
	last := parts[2][len(parts[2])-1]
	return map[string]string{
		"alg none, no signature":       b64(`{"alg":"none","kid":"web","typ":"JWT"}`) + "." + parts[1] + ".",
		"alg none, a signature":        header(`{"alg":"none","kid":"web","typ":"JWT"}`),
		"alg NONE":                     header(`{"alg":"NONE","kid":"web","typ":"JWT"}`),
		"alg nOnE":                     b64(`{"alg":"nOnE","kid":"web","typ":"JWT"}`) + "." + parts[1] + ".",
		"alg empty":                    header(`{"alg":"","kid":"web","typ":"JWT"}`),
		"alg missing":                  header(`{"kid":"web","typ":"JWT"}`),
		"alg null":                     header(`{"alg":null,"kid":"web","typ":"JWT"}`),
		"alg a list":                   header(`{"alg":["HS256"],"kid":"web","typ":"JWT"}`),
		"alg in lower case":            header(`{"alg":"hs256","kid":"web","typ":"JWT"}`),
		"alg HS512, signed so":         hs512,
		"alg HS384, signed as HS256":   header(`{"alg":"HS384","kid":"web","typ":"JWT"}`),
		"alg RS256, signed so":         rs,
		"alg RS256, signed as HS256":   header(`{"alg":"RS256","kid":"web","typ":"JWT"}`),
		"HS256 by a public key":        signedBy(x509.MarshalPKCS1PublicKey(&key.PublicKey), goodHeader, claims),
		"alg ES256":                    header(`{"alg":"ES256","kid":"web","typ":"JWT"}`),
		"alg EdDSA":                    header(`{"alg":"EdDSA","kid":"web","typ":"JWT"}`),
		"alg twice":                    header(`{"alg":"HS256","alg":"none","kid":"web","typ":"JWT"}`),
		"alg twice, one in capitals":   header(`{"alg":"HS256","ALG":"none","kid":"web","typ":"JWT"}`),
		"typ missing":                  header(`{"alg":"HS256","kid":"web"}`),
		"typ other":                    header(`{"alg":"HS256","kid":"web","typ":"at+jwt"}`),
		"typ in lower case":            header(`{"alg":"HS256","kid":"web","typ":"jwt"}`),
		"kid missing":                  header(`{"alg":"HS256","typ":"JWT"}`),
		"kid empty":                    header(`{"alg":"HS256","kid":"","typ":"JWT"}`),
		"kid a number":                 header(`{"alg":"HS256","kid":1,"typ":"JWT"}`),
		"kid a path":                   header(`{"alg":"HS256","kid":"../../dev/null","typ":"JWT"}`),
		"kid twice":                    header(`{"alg":"HS256","kid":"web","kid":"free","typ":"JWT"}`),
		"crit":                         header(`{"alg":"HS256","crit":["exp"],"kid":"web","typ":"JWT"}`),
		"jwk":                          header(`{"alg":"HS256","jwk":{"kty":"oct","k":"` + b64("k") + `"},"kid":"web","typ":"JWT"}`),
		"jku":                          header(`{"alg":"HS256","jku":"https://evil.example/","kid":"web","typ":"JWT"}`),
		"x5u":                          header(`{"alg":"HS256","x5u":"https://evil.example/","kid":"web","typ":"JWT"}`),
		"x5c":                          header(`{"alg":"HS256","x5c":[],"kid":"web","typ":"JWT"}`),
		"b64 false":                    header(`{"alg":"HS256","b64":false,"kid":"web","typ":"JWT"}`),
		"zip":                          header(`{"alg":"HS256","zip":"DEF","kid":"web","typ":"JWT"}`),
		"cty, a token in a token":      signedBy(signingBytes, `{"alg":"HS256","cty":"JWT","kid":"web","typ":"JWT"}`, good),
		"header a list":                header(`["HS256"]`),
		"header cut":                   header(`{"alg":"HS256","kid":"web","typ":"JWT"`),
		"header with something after":  header(goodHeader + `{}`),
		"header with a comment":        header(`{"alg":"HS256",/**/"kid":"web","typ":"JWT"}`),
		"header with a BOM":            header("\ufeff" + goodHeader),
		"header not UTF-8":             header("{\"alg\":\"HS256\",\"kid\":\"web\xff\",\"typ\":\"JWT\"}"),
		"header empty":                 header(``),
		"header null":                  header(`null`),
		"claims empty":                 signedBy(signingBytes, goodHeader, ``),
		"claims {}":                    signedBy(signingBytes, goodHeader, `{}`),
		"claims a list":                signedBy(signingBytes, goodHeader, `[`+claims+`]`),
		"claims cut":                   signedBy(signingBytes, goodHeader, claims[:len(claims)-1]),
		"claims deep":                  signedBy(signingBytes, goodHeader, strings.Repeat("[", 500)),
		"claims with something after":  signedBy(signingBytes, goodHeader, claims+"x"),
		"aud missing":                  claim(`"aud":"`+botA+`",`, ``),
		"aud empty":                    claim(`"aud":"`+botA+`"`, `"aud":""`),
		"aud null":                     claim(`"aud":"`+botA+`"`, `"aud":null`),
		"aud a number":                 claim(`"aud":"`+botA+`"`, `"aud":1`),
		"aud an object":                claim(`"aud":"`+botA+`"`, `"aud":{"x":"`+botA+`"}`),
		"aud a list of numbers":        claim(`"aud":"`+botA+`"`, `"aud":["`+botA+`",1]`),
		"aud twice":                    claim(`"aud":"`+botA+`"`, `"aud":"`+botB+`","aud":"`+botA+`"`),
		"exp missing":                  claim(`"exp":`+exp+`,`, ``),
		"exp text":                     claim(`"exp":`+exp, `"exp":"`+exp+`"`),
		"exp null":                     claim(`"exp":`+exp, `"exp":null`),
		"exp 1e999":                    claim(`"exp":`+exp, `"exp":1e999`),
		"exp NaN":                      claim(`"exp":`+exp, `"exp":NaN`),
		"exp a fraction":               claim(`"exp":`+exp, `"exp":`+exp+`.0`),
		"exp an exponent":              claim(`"exp":`+exp, `"exp":2e9`),
		"exp negative":                 claim(`"exp":`+exp, `"exp":-`+exp),
		"exp larger than 64 bits":      claim(`"exp":`+exp, `"exp":99999999999999999999`),
		"exp at the end of time":       claim(`"exp":`+exp, `"exp":9223372036854775807`),
		"exp true":                     claim(`"exp":`+exp, `"exp":true`),
		"exp twice":                    claim(`"exp":`+exp, `"exp":1,"exp":`+exp),
		"exp in capitals too":          claim(`"exp":`+exp, `"exp":`+exp+`,"Exp":`+exp),
		"exp past":                     claim(`"exp":`+exp, `"exp":1000000000`),
		"iat missing":                  claim(`"iat":`, `"nbf":`),
		"origin missing":               claim(`,"origin":"`+pageOrigin+`"`, ``),
		"origin a number":              claim(`"origin":"`+pageOrigin+`"`, `"origin":1`),
		"origin an empty list":         claim(`"origin":"`+pageOrigin+`"`, `"origin":[]`),
		"sub a number":                 claim(`"sub":"x"`, `"sub":1`),
		"jti missing":                  claim(`,"jti":"0123456789abcdef"`, ``),
		"n text":                       claim(`"jti"`, `"n":"1","jti"`),
		"n zero":                       claim(`"jti"`, `"n":0,"jti"`),
		"n negative":                   claim(`"jti"`, `"n":-1,"jti"`),
		"n a fraction":                 claim(`"jti"`, `"n":1.5,"jti"`),
		"unknown claim":                claim(`"jti"`, `"scope":"admin","jti"`),
		"nbf":                          claim(`"jti"`, `"nbf":1,"jti"`),
		"no signature":                 parts[0] + "." + parts[1] + ".",
		"no claims":                    macOf(signingBytes, parts[0]+"."),
		"no header":                    macOf(signingBytes, "."+parts[1]),
		"one part":                     parts[0],
		"two parts":                    parts[0] + "." + parts[1],
		"four parts":                   good + "." + parts[2],
		"dots alone":                   "..",
		"a thousand dots":              strings.Repeat(".", 1000),
		"thousands of dots":            strings.Repeat(".", 15000),
		"thousands of dots in between": "eyJ" + strings.Repeat(".a", 7000),
		"longer than 1 KiB":            claim(`"sub":"x"`, `"sub":"`+strings.Repeat("x", 800)+`"`),
		"much longer":                  claim(`"sub":"x"`, `"sub":"`+strings.Repeat("x", 10000)+`"`),
		"signature cut":                good[:len(good)-2],
		"signature longer":             good + "A",
		"signature with stray bits":    good[:len(good)-1] + string(nextInAlphabet(last)),
		"signature of another":         parts[0] + "." + parts[1] + "." + strings.Split(signedBy(signingBytes, goodHeader, claims+" "), ".")[2],
		"claims of another":            parts[0] + "." + b64(strings.Replace(claims, botA, botB, 1)) + "." + parts[2],
		"header of another":            b64(strings.Replace(goodHeader, "web", "free", 1)) + "." + parts[1] + "." + parts[2],
		"signed with something else":   signedBy([]byte("0123456789abcdefghijklmnopqrstuX"), goodHeader, claims),
		"signed with half a secret":    signedBy(signingBytes[:16], goodHeader, claims),
		"signed with its base64":       signedBy([]byte(signingSecret), goodHeader, claims),
		"with padding":                 good + "=",
		"header with padding":          macOf(signingBytes, base64.URLEncoding.EncodeToString([]byte(goodHeader+" "))+"."+parts[1]),
		"claims in the other alphabet": macOf(signingBytes, parts[0]+"."+base64.RawStdEncoding.EncodeToString([]byte(strings.Replace(claims, `"x"`, `"??>>ÿ"`, 1)))),
		"claims not base64":            macOf(signingBytes, parts[0]+"."+parts[1]+"~"),
		"claims of a wrong length":     macOf(signingBytes, parts[0]+"."+parts[1]+strings.Repeat("A", (5-len(parts[1])%4)%4)),
	}
}

// nextInAlphabet returns a base64url character with the same six bits except the lowest.
func nextInAlphabet(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

// TestMalformedTokens sends invalid tokens, in place of a key and in a cookie: each gets 401, and nothing reaches the
// upstream.
func TestMalformedTokens(t *testing.T) {
	t.Parallel()
	g, _ := browserGate(t, nil, nil)
	good := signedBy(signingBytes, goodHeader, goodClaims())
	if res := g.predict(t, botA, good, "Origin: "+pageOrigin); res.status != 200 {
		t.Fatalf("the token that the others are made of = %d %s, want 200", res.status, res.body)
	}
	tokens := malformedTokens(t)
	if len(tokens) < 60 {
		t.Fatalf("%d tokens, want 60 at least", len(tokens))
	}
	for name, text := range tokens {
		if text == good {
			t.Errorf("%s: this is the valid token", name)
		}
		res := g.predict(t, botA, text, "Origin: "+pageOrigin)
		if res.problem.Code != string(problem.InvalidKey) {
			t.Errorf("%s: %d %s, want 401 %s", name, res.status, res.body, problem.InvalidKey)
		}
	}
	if _, _, n := g.upstream.last(); n != 1 {
		t.Errorf("requests that reached the upstream = %d, want that with the valid token alone", n)
	}
}
