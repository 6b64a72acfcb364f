package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
)

// issued is when the tokens of the tests were minted.
var issued = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// secretText returns a secret as it is written in a file, a different one for each n.
func secretText(n byte) string {
	secret := make([]byte, secretLen)
	for i := range secret {
		secret[i] = n + byte(i)
	}
	return base64.StdEncoding.EncodeToString(secret)
}

func secretsOf(t testing.TB, lines ...string) *Secrets {
	t.Helper()
	s, err := Open(testkit.WriteFile(t, "secrets", strings.Join(lines, "\n")+"\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Secrets) mint(t testing.TB, token Token) string {
	t.Helper()
	text, err := s.Mint(token)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// aToken returns a token that is valid for ten minutes.
func aToken() Token {
	return Token{Key: "acme-web", Chatflows: []string{"x"}, Origins: []string{"https://www.example.com"}, User: "42", Messages: 50, Issued: issued, Expires: issued.Add(10 * time.Minute)}
}

// TestMintAndVerify checks that a token says what it was minted with, also when it is verified again.
func TestMintAndVerify(t *testing.T) {
	s := secretsOf(t, secretText(1))
	bare := aToken()
	bare.User, bare.Messages = "", 0
	several := aToken()
	several.Chatflows, several.Origins, several.User = []string{"x", "y"}, []string{"https://a.example", "https://b.example"}, "Jürgen <j@example.com>"
	for name, want := range map[string]Token{"all claims": aToken(), "required ones": bare, "several": several} {
		text := s.mint(t, want)
		for try := range 2 {
			got, err := s.Verify(text, issued.Add(time.Minute))
			if err != nil {
				t.Errorf("%s: Verify, time %d = %v", name, try+1, err)
				continue
			}
			if diff := cmp.Diff(&want, got, cmpopts.IgnoreFields(Token{}, "ID"), cmpopts.IgnoreUnexported(Token{}), cmpopts.EquateApproxTime(0)); diff != "" {
				t.Errorf("%s: Verify, time %d (-want +got):\n%s", name, try+1, diff)
			}
			if got.ID == "" || len(got.UserHash()) != 16 {
				t.Errorf("%s: ID %q, hash of the user %q", name, got.ID, got.UserHash())
			}
		}
		if again := s.mint(t, want); again == text {
			t.Errorf("%s: the same token was minted twice", name)
		}
	}
}

// TestTimes verifies a token at different times.
func TestTimes(t *testing.T) {
	s := secretsOf(t, secretText(1))
	text := s.mint(t, aToken())
	for _, seen := range []bool{false, true} {
		for _, tt := range []struct {
			after time.Duration
			want  error
		}{
			{0, nil},
			{10*time.Minute - time.Nanosecond, nil},
			{10 * time.Minute, ErrExpired},
			{24 * time.Hour, ErrExpired},
			{-maxSkew, nil},
			{-maxSkew - time.Second, ErrNotYet},
		} {
			if got, err := s.Verify(text, issued.Add(tt.after)); !errors.Is(err, tt.want) || (got == nil) && tt.want != ErrNotYet { //nolint:errorlint // compared as it is
				t.Errorf("Verify(%v after it was issued; seen %t) = %v, %v, want %v", tt.after, seen, got, err, tt.want)
			}
		}
	}
}

// TestSecrets: the first secret signs, all verify, and no other secret does.
func TestSecrets(t *testing.T) {
	before, during, after, other := secretsOf(t, secretText(1)), secretsOf(t, secretText(2), "# until tomorrow", "", secretText(1)), secretsOf(t, secretText(2)), Random()
	for _, tt := range []struct {
		minter, verifier *Secrets
		want             error
	}{
		{before, during, nil},
		{during, during, nil},
		{during, after, nil},
		{before, after, ErrSignature},
		{during, before, ErrSignature},
		{other, during, ErrSignature},
		{other, other, nil},
		{before, other, ErrSignature},
	} {
		if _, err := tt.verifier.Verify(tt.minter.mint(t, aToken()), issued); !errors.Is(err, tt.want) {
			t.Errorf("Verify = %v, want %v", err, tt.want)
		}
	}
}

// TestTooLong mints a token that is too long.
func TestTooLong(t *testing.T) {
	token := aToken()
	for n := range maxListed {
		token.Chatflows = append(token.Chatflows, fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
	}
	if text, err := Random().Mint(token); err == nil || !strings.Contains(err.Error(), "name fewer chatflows") {
		t.Errorf("Mint = %d bytes, %v, want an error that says what to do", len(text), err)
	}
}

// TestRequest asks for tokens with a key.
func TestRequest(t *testing.T) {
	s, err := keystore.Parse("keys.yaml", []byte(`version: 1
keys:
  - {id: web, secret: secret-of-web-0123456789, not_after: 2026-11-28T13:00:00Z, browser: {origins: [https://a.example, https://b.example], max_ttl: 2h}}
  - {id: plain, secret: secret-of-plain-0123456789}
  - {id: every, secret: secret-of-every-0123456789, browser: {origins: [https://a.example]}}
chatflows:
  - {id: x, keys: [web]}
  - {id: y, keys: [web]}
  - {id: z, keys: [plain]}
  - {id: "*", keys: [every]}
`))
	if err != nil {
		t.Fatal(err)
	}
	x, a := []string{"x"}, []string{"https://a.example"}
	for name, tt := range map[string]struct {
		key        string
		request    Request
		want       time.Duration // how long the token is valid; 0 for an error
		notAllowed bool
		fault      string
	}{
		"all that is needed":      {"web", Request{Chatflows: x, Origins: a, TTL: time.Minute}, time.Minute, false, ""},
		"everything":              {"web", Request{Chatflows: []string{"x", "y"}, Origins: []string{"https://b.example", "https://a.example"}, User: "Zoë 42", TTL: 10 * time.Minute, Messages: 50}, 10 * time.Minute, false, ""},
		"no longer than its key":  {"web", Request{Chatflows: x, Origins: a}, time.Hour, false, ""},
		"as long as it may be":    {"every", Request{Chatflows: []string{"unlisted"}, Origins: a}, keystore.DefaultBrowserTTL, false, ""},
		"a key without browser":   {"plain", Request{Chatflows: []string{"z"}, Origins: a}, 0, true, "has no `browser:`"},
		"another's chatflow":      {"web", Request{Chatflows: []string{"x", "z"}, Origins: a}, 0, true, "chatflow: this API key is not for this chatflow"},
		"an unlisted chatflow":    {"web", Request{Chatflows: []string{"unlisted"}, Origins: a}, 0, true, "chatflow:"},
		"no ID":                   {"every", Request{Chatflows: []string{"a b"}, Origins: a}, 0, true, "chatflow:"},
		"every chatflow":          {"every", Request{Chatflows: []string{"*"}, Origins: a}, 0, true, "chatflow:"},
		"no chatflow":             {"web", Request{Origins: a}, 0, false, "chatflow: want the ID of a chatflow"},
		"too many chatflows":      {"every", Request{Chatflows: strings.Split(strings.Repeat("x,", maxListed)+"x", ","), Origins: a}, 0, false, "chatflow:"},
		"another origin":          {"web", Request{Chatflows: x, Origins: []string{"https://c.example"}}, 0, true, "origin: it is not among"},
		"no origin":               {"web", Request{Chatflows: x}, 0, false, "origin: want the origin of the page"},
		"null for an origin":      {"web", Request{Chatflows: x, Origins: []string{"null"}}, 0, true, "origin:"},
		"too long":                {"web", Request{Chatflows: x, Origins: a, TTL: 2*time.Hour + time.Second}, 0, true, "ttl: this API key allows at most 7200 seconds"},
		"no time":                 {"web", Request{Chatflows: x, Origins: a, TTL: -time.Second}, 0, false, "ttl: want whole seconds"},
		"half a second":           {"web", Request{Chatflows: x, Origins: a, TTL: time.Second / 2}, 0, false, "ttl:"},
		"no messages":             {"web", Request{Chatflows: x, Origins: a, Messages: -1}, 0, false, "messages: want a number from 1"},
		"a user with a line feed": {"web", Request{Chatflows: x, Origins: a, User: "a\nb"}, 0, false, "user: want at most 200 bytes of printable text"},
		"a user that is long":     {"web", Request{Chatflows: x, Origins: a, User: strings.Repeat("x", 201)}, 0, false, "user:"},
		"a user that is no text":  {"web", Request{Chatflows: x, Origins: a, User: "\xff"}, 0, false, "user:"},
		"all at once":             {"web", Request{TTL: 3 * time.Hour, User: "\x00", Messages: -1}, 0, true, "chatflow: want the ID of a chatflow, or up to 16; origin: want the origin of the page, such as https://www.example.com, or up to 16; user: want at most 200 bytes of printable text; ttl: this API key allows at most 7200 seconds; messages: want a number from 1 to 1000000"},
	} {
		got, err := tt.request.Of(s.Key(tt.key), s, issued.Add(time.Millisecond))
		if tt.want > 0 {
			if err != nil || got.Life() != tt.want || !got.Issued.Equal(issued) || got.Key != tt.key {
				t.Errorf("%s: Of = %+v, %v, want a token for %v", name, got, err, tt.want)
			}
			continue
		}
		var e *RequestError
		if !errors.As(err, &e) || e.NotAllowed != tt.notAllowed || !strings.Contains(e.Error(), tt.fault) {
			t.Errorf("%s: Of = %v, want not allowed: %t, and %q", name, err, tt.notAllowed, tt.fault)
		}
	}
}

// TestBounds: what is remembered has a bound, and what is in use stays.
func TestBounds(t *testing.T) {
	const most = 100
	r := recent[int, int]{most: most}
	for n := range 10 * most {
		r.of(n, n)
		if v, ok := r.get(0); !ok || v != 0 {
			t.Fatalf("get of what is always in use, after %d others = %d, %t", n, v, ok)
		}
		if len(r.young)+len(r.old) > most {
			t.Fatalf("%d are remembered, want at most %d", len(r.young)+len(r.old), most)
		}
	}
	if v := r.of(10*most-1, -1); v != 10*most-1 {
		t.Errorf("of what was added last = %d", v)
	}
	if _, ok := r.get(1); ok {
		t.Error("get of what was not in use for long: it is still there")
	}
}

// TestMessages counts messages by token.
func TestMessages(t *testing.T) {
	m := NewMessages()
	one, other := &Token{ID: "one", Messages: 2, Expires: issued.Add(time.Minute)}, &Token{ID: "other", Messages: 1, Expires: issued.Add(time.Minute)}
	for n, tt := range []struct {
		token *Token
		want  bool
	}{{one, true}, {other, true}, {one, true}, {one, false}, {other, false}, {one, false}} {
		if got := m.Take(tt.token); got != tt.want {
			t.Errorf("message %d, with token %s: Take = %t, want %t", n+1, tt.token.ID, got, tt.want)
		}
	}
}

// TestForget: what has expired is forgotten, and nothing else.
func TestForget(t *testing.T) {
	s, m := secretsOf(t, secretText(1)), NewMessages()
	short, long := aToken(), aToken()
	short.Messages, long.Messages, long.Expires = 1, 1, issued.Add(time.Hour)
	for _, token := range []Token{short, long} {
		got, err := s.Verify(s.mint(t, token), issued)
		if err != nil || !m.Take(got) {
			t.Fatalf("Verify and Take = %v", err)
		}
	}
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{10*time.Minute - 1, 2}, {10 * time.Minute, 1}, {time.Hour, 0}} {
		s.Forget(issued.Add(tt.after))
		m.Forget(issued.Add(tt.after))
		if seen, counted := len(s.current().seen.young), len(m.counts.young); seen != tt.want || counted != tt.want {
			t.Errorf("after %s, %d tokens and messages of %d are remembered, want %d", tt.after, seen, counted, tt.want)
		}
	}
}

// BenchmarkVerify verifies a new token, and one that was seen before.
func BenchmarkVerify(b *testing.B) {
	s := Random()
	text := s.mint(b, aToken())
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.current().verify(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("seen", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Verify(text, issued); err != nil {
				b.Fatal(err)
			}
		}
	})
}
