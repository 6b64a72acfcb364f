package keystore_test

import (
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

// A key is as good as the best of its secrets.
func TestKeyValidity(t *testing.T) {
	s := doors(t)
	for _, test := range []struct {
		key, at string
		want    keystore.Validity
	}{
		{"turned", "2020-01-01T00:00:00Z", keystore.Valid}, // with its old secret, which always was valid
		{"turned", "2026-05-15T00:00:00Z", keystore.Valid},
		{"turned", "2026-12-31T23:59:59Z", keystore.Valid},
		{"turned", "2027-01-01T00:00:00Z", keystore.Expired},
		{"timed", "2025-12-31T00:00:00Z", keystore.NotYetValid},
		{"timed", "2026-01-01T00:00:00Z", keystore.Valid},
		{"timed", "2027-01-01T00:00:00Z", keystore.Expired},
		{"off", "2026-01-01T00:00:00Z", keystore.Disabled},
	} {
		if got := s.Key(test.key).Validity(at(t, test.at)); got != test.want {
			t.Errorf("Validity of %q at %s = %v, want %v", test.key, test.at, got, test.want)
		}
	}
}

func TestKeyTimes(t *testing.T) {
	for _, test := range []struct{ name, key, before, after string }{
		{"none", "sha256: " + digest("a"), "", ""},
		{
			"own", "sha256: " + digest("a") + ", not_before: 2026-01-01T00:00:00Z, not_after: 2027-01-01T00:00:00Z",
			"2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z",
		},
		{
			"last secret's before own", "not_after: 2030-01-01T00:00:00Z, secrets: [{sha256: " + digest("a") + ", not_after: 2028-01-01T00:00:00Z}, {sha256: " + digest("b") + ", not_after: 2027-01-01T00:00:00Z}]",
			"", "2028-01-01T00:00:00Z",
		},
		{
			"own before last secret's", "not_after: 2027-06-01T00:00:00Z, secrets: [{sha256: " + digest("a") + ", not_after: 2028-01-01T00:00:00Z}]",
			"", "2027-06-01T00:00:00Z",
		},
		{"one secret without end", "secrets: [{sha256: " + digest("a") + ", not_after: 2028-01-01T00:00:00Z}, {sha256: " + digest("b") + "}]", "", ""},
		{"own, and a secret without end", "not_after: 2027-06-01T00:00:00Z, secrets: [{sha256: " + digest("a") + "}]", "", "2027-06-01T00:00:00Z"},
		{"all secrets end, own does not", "secrets: [{sha256: " + digest("a") + ", not_after: 2028-01-01T00:00:00Z}]", "", "2028-01-01T00:00:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := mustParse(t, "version: 1\nkeys: [{id: a, "+test.key+"}]\nchatflows: [{id: x, keys: [a]}]").Key("a")
			if got := stamp(k.NotBefore()); got != test.before {
				t.Errorf("NotBefore() = %q, want %q", got, test.before)
			}
			if got := stamp(k.NotAfter()); got != test.after {
				t.Errorf("NotAfter() = %q, want %q", got, test.after)
			}
		})
	}
}

func TestValidityString(t *testing.T) {
	for v, want := range map[keystore.Validity]string{
		keystore.Unknown: "unknown", keystore.Honey: "honey", keystore.Disabled: "disabled", keystore.NotYetValid: "not_yet_valid",
		keystore.Expired: "expired", keystore.Valid: "valid",
	} {
		if got := v.String(); got != want {
			t.Errorf("String() of %d = %q, want %q", v, got, want)
		}
	}
}

// The zero value must not let anybody through.
func TestZeroValidityIsNotValid(t *testing.T) {
	var m keystore.Match
	if m.Validity == keystore.Valid || m.Validity != keystore.Unknown {
		t.Errorf("the zero Match is %v, want unknown", m.Validity)
	}
}

func TestLines(t *testing.T) {
	s := mustParse(t, "version: 1\n\nkeys:\n  # a\n  - id: a\n    sha256: "+digest("a")+"\n  -\n    sha256: "+digest("b")+"\n    id: b\nchatflows:\n  - keys: [a, b]\n    id: x\n")
	for id, want := range map[string]int{"a": 5, "b": 8} {
		if got := s.Key(id).Line; got != want {
			t.Errorf("Line of key %q = %d, want %d", id, got, want)
		}
	}
	if got := s.Chatflows()[0].Line; got != 11 {
		t.Errorf("Line of chatflow x = %d, want 11", got)
	}
}
