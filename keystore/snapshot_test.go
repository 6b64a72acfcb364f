package keystore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/keystore"
)

// doors is a key file with a key of every kind and a chatflow of every kind.
func doors(t *testing.T) *keystore.Snapshot {
	t.Helper()
	return mustParse(t, `
version: 1
keys:
  - {id: plain, sha256: `+digest("plain")+`}
  - {id: off, sha256: `+digest("off")+`, disabled: true}
  - {id: off-and-over, sha256: `+digest("off-and-over")+`, disabled: true, not_after: 2020-01-01T00:00:00Z}
  - {id: timed, sha256: `+digest("timed")+`, not_before: 2026-01-01T00:00:00Z, not_after: 2027-01-01T00:00:00Z}
  - id: turned
    not_after: 2027-01-01T00:00:00Z
    secrets:
      - {sha256: `+digest("old")+`, not_after: 2026-06-01T00:00:00Z}
      - {sha256: `+digest("new")+`, not_before: 2026-05-01T00:00:00Z}
      - {sha256: `+digest("next")+`, not_before: 2026-12-01T00:00:00Z, not_after: 2028-01-01T00:00:00Z}
  - {id: ops, sha256: `+digest("ops")+`}
  - {id: z-ops, secret: `+secret("z-ops")+`}
  - {id: idle, sha256: `+digest("idle")+`}
chatflows:
  - {id: one, keys: [timed, plain], name: first}
  - {id: two, keys: [turned, off, off-and-over]}
  - {id: open, public: true}
  - {id: open-with-key, public: true, keys: [plain]}
  - {id: "*", keys: [z-ops, ops]}
`)
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMatch(t *testing.T) {
	s := doors(t)
	const noon = "2026-05-15T12:00:00Z"
	for _, test := range []struct {
		name, secret, at string
		want             keystore.Validity
		key              string
	}{
		{"no times", "plain", noon, keystore.Valid, "plain"},
		{"no times, long ago", "plain", "1970-01-01T00:00:00Z", keystore.Valid, "plain"},
		{"no times, in the far future", "plain", "2262-01-01T00:00:00Z", keystore.Valid, "plain"},
		{"in plain text", "z-ops", noon, keystore.Valid, "z-ops"},
		{"a key that opens nothing", "idle", noon, keystore.Valid, "idle"},
		{"disabled", "off", noon, keystore.Disabled, "off"},
		{"disabled before expired", "off-and-over", noon, keystore.Disabled, "off-and-over"},
		{"a nanosecond before not_before", "timed", "2025-12-31T23:59:59.999999999Z", keystore.NotYetValid, "timed"},
		{"at not_before", "timed", "2026-01-01T00:00:00Z", keystore.Valid, "timed"},
		{"at not_before in another zone", "timed", "2026-01-01T14:00:00+14:00", keystore.Valid, "timed"},
		{"a nanosecond before not_after", "timed", "2026-12-31T23:59:59.999999999Z", keystore.Valid, "timed"},
		{"at not_after", "timed", "2027-01-01T00:00:00Z", keystore.Expired, "timed"},
		{"at not_after in another zone", "timed", "2026-12-31T19:00:00-05:00", keystore.Expired, "timed"},
		{"old secret in the overlap", "old", noon, keystore.Valid, "turned"},
		{"new secret in the overlap", "new", noon, keystore.Valid, "turned"},
		{"old secret at its end", "old", "2026-06-01T00:00:00Z", keystore.Expired, "turned"},
		{"new secret before its beginning", "new", "2026-04-30T23:59:59.999999999Z", keystore.NotYetValid, "turned"},
		{"new secret at its beginning", "new", "2026-05-01T00:00:00Z", keystore.Valid, "turned"},
		{"old secret before its end", "old", "2026-05-31T23:59:59.999999999Z", keystore.Valid, "turned"},
		{"new secret at its key's end", "new", "2027-01-01T00:00:00Z", keystore.Expired, "turned"},
		{"next secret in time", "next", "2026-12-31T00:00:00Z", keystore.Valid, "turned"},
		{"next secret after its key's end", "next", "2027-01-01T00:00:00Z", keystore.Expired, "turned"},
		{"not a secret", "nobody", noon, keystore.Unknown, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := keystore.DigestOf(secret(test.secret))
			m := s.Match(d, at(t, test.at))
			if m.Validity != test.want {
				t.Errorf("Match(%s, %s) = %v, want %v", test.secret, test.at, m.Validity, test.want)
			}
			if test.key == "" {
				if m.Key != nil || m.Secret != nil {
					t.Errorf("Match(%s) has key %v and secret %v, want none", test.secret, m.Key, m.Secret)
				}
				return
			}
			if m.Key != s.Key(test.key) || m.Secret.Digest != d {
				t.Errorf("Match(%s) has key %v and digest %v, want %s and %v", test.secret, m.Key, m.Secret.Digest, test.key, d)
			}
		})
	}
}

// Whoever reads the key file cannot use what it holds as a secret.
func TestMatchStoredDigest(t *testing.T) {
	s := doors(t)
	for _, k := range s.Keys() {
		for _, sec := range k.Secrets() {
			for _, token := range []string{sec.Digest.String(), strings.ToUpper(sec.Digest.String()), string(sec.Digest[:]), k.ID, ""} {
				if m := s.Match(keystore.DigestOf(token), time.Now()); m.Validity != keystore.Unknown {
					t.Errorf("Match(%q) = %v of key %q, want unknown", token, m.Validity, k.ID)
				}
			}
		}
	}
	if m := s.Match(keystore.Digest{}, time.Now()); m != (keystore.Match{}) {
		t.Errorf("Match of no digest = %+v, want none", m)
	}
}

// Digests that somebody numbers by hand are almost equal, but are still told apart.
func TestMatchAlike(t *testing.T) {
	var keys, ids strings.Builder
	alike := func(i int) string { return strings.Repeat("0", 62) + fmt.Sprintf("%02x", i) }
	const n = 20
	for i := range n {
		fmt.Fprintf(&keys, "- {id: k%d, sha256: %s}\n", i, alike(i))
		fmt.Fprintf(&ids, "k%d, ", i)
	}
	s := mustParse(t, "version: 1\nkeys:\n"+keys.String()+"chatflows: [{id: x, keys: ["+ids.String()+"]}]\n")
	for i := range n + 1 {
		d, err := keystore.ParseDigest(alike(i))
		if err != nil {
			t.Fatal(err)
		}
		if m := s.Match(d, time.Now()); m.Key != s.Key(fmt.Sprint("k", i)) || (m.Validity == keystore.Valid) != (i < n) {
			t.Errorf("Match(%v) = %v of key %+v, want key k%d if there is one", d, m.Validity, m.Key, i)
		}
	}
	if _, err := keystore.Parse("f", []byte("version: 1\nkeys:\n"+keys.String()+"- {id: again, sha256: "+alike(n-1)+"}\nchatflows: [{id: x, public: true}]\n")); err == nil || !strings.Contains(err.Error(), `the same secret as key "k19"`) {
		t.Errorf("Parse with a digest twice among those alike = %v, want the fault", err)
	}
}

func TestOpens(t *testing.T) {
	s := doors(t)
	// The columns are the chatflows; a key opens those that have its x. "none" is not listed.
	const chatflows = "one two open open-with-key none * One"
	want := map[string]string{
		"plain":        "x..x...",
		"off":          ".x.....",
		"off-and-over": ".x.....",
		"timed":        "x......",
		"turned":       ".x.....",
		"ops":          "xxxxxxx",
		"z-ops":        "xxxxxxx",
		"idle":         ".......",
	}
	got := map[string]string{}
	for _, k := range s.Keys() {
		for _, id := range strings.Fields(chatflows) {
			got[k.ID] += map[bool]string{true: "x", false: "."}[s.Opens(k, id)]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Opens for %s (-want +got):\n%s", chatflows, diff)
	}
	if s.Opens(nil, "one") || s.Opens(nil, "open") {
		t.Error("Opens(nil) = true, want false")
	}
	for _, id := range []string{"", "none", "one "} {
		if without := mustParse(t, minimal); without.Opens(s.Key("ops"), id) {
			t.Errorf("Opens(%q) of a file without the entry \"*\" = true, want false", id)
		}
	}
}

func TestChatflow(t *testing.T) {
	s := doors(t)
	for _, test := range []struct{ id, want string }{
		{"one", "one, listed true, label first, public false, keys plain timed"},
		{"two", "two, listed true, label two, public false, keys off off-and-over turned"},
		{"open", "open, listed true, label open, public true, keys"},
		{"open-with-key", "open-with-key, listed true, label open-with-key, public true, keys plain"},
		{"none", "*, listed false, label *, public false, keys ops z-ops"},
		{"*", "*, listed false, label *, public false, keys ops z-ops"},
		{"", "*, listed false, label *, public false, keys ops z-ops"},
		{"ONE", "*, listed false, label *, public false, keys ops z-ops"},
	} {
		c, listed := s.Chatflow(test.id)
		got := fmt.Sprintf("%s, listed %t, label %s, public %t, keys", c.ID, listed, c.Label(), c.Public)
		for _, k := range c.Keys() {
			got += " " + k.ID
		}
		if got != test.want {
			t.Errorf("Chatflow(%q) = %s, want %s", test.id, got, test.want)
		}
	}
	if c, listed := mustParse(t, minimal).Chatflow("none"); c != nil || listed {
		t.Errorf("Chatflow(none) = %v, %t, want nil, false", c, listed)
	}
	if !s.AnyPublic() {
		t.Error("AnyPublic() = false, want true")
	}
	if mustParse(t, "version: 1\nkeys: [{id: a, sha256: "+digest("a")+"}]\nchatflows: [{id: x, keys: [a]}]").AnyPublic() {
		t.Error("AnyPublic() without a public chatflow = true, want false")
	}
	if s.Key("Plain") != nil || s.Key("") != nil {
		t.Error("Key finds a key by an ID that it does not have")
	}
}
