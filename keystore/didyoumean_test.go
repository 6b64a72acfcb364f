package keystore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore/strictyaml"
)

// TestMisspelledFields misspells each field that a key file may have, and checks that the fault suggests the right one.
func TestMisspelledFields(t *testing.T) {
	for what, test := range map[string]struct {
		fields []string
		file   string // with the misspelled field in place of %s
	}{
		"the key file": {inFile.Names, "%s: 1\n"},
		"a key":        {inKey.Names, "version: 1\nkeys: [{%s: x}]\n"},
		"a secret":     {inSecret.Names, "version: 1\nkeys: [{id: a, secrets: [{%s: x}]}]\n"},
		"a chatflow":   {inChatflow.Names, "version: 1\nchatflows: [{%s: x}]\n"},
		"limits":       {inChatflowLimits.Names, "version: 1\nchatflows: [{id: a, public: true, limits: {%s: x}}]\n"},
		"per_client":   {inLimits.Names, "version: 1\nchatflows: [{id: a, public: true, limits: {per_client: {%s: x}}}]\n"},
		"browser":      {inBrowser.Names, "version: 1\nkeys: [{id: a, browser: {%s: x}}]\n"},
		"body":         {inBody.Names, "version: 1\nchatflows: [{id: a, public: true, body: {%s: x}}]\n"},
	} {
		for _, field := range test.fields {
			for _, misspelled := range []string{strings.ToUpper(field), "_" + field, "z" + strings.ReplaceAll(field, "_", "-")} {
				_, err := Parse("f", []byte(strings.Replace(test.file, "%s", misspelled, 1)))
				if want := fmt.Sprintf("%s has no field %s; did you mean %s?", what, strictyaml.Quote(misspelled), field); !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%s: %v, want %q", misspelled, err, want)
				}
			}
			_, err := Parse("f", []byte(strings.Replace(test.file, "%s", field, 1)))
			if strings.Contains(fmt.Sprint(err), "has no field") {
				t.Errorf("%s: %v, want a field that is known", field, err)
			}
		}
	}
}

// TestKeyNamed checks what the error says about an ID that no key has, and that it does not repeat a secret.
func TestKeyNamed(t *testing.T) {
	secret := Generate()
	s, err := Parse("f", []byte("version: 1\nkeys:\n  - {id: acme-web, sha256: "+DigestOf(secret).String()+"}\nchatflows:\n  - {id: x, keys: [acme-web]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := s.KeyNamed("acme-web"); err != nil || k.ID != "acme-web" {
		t.Errorf("KeyNamed(acme-web) = %v, %v, want the key", k, err)
	}
	other := Generate()
	for id, want := range map[string]string{
		secret:                   `this is the secret of key "acme-web", which is named by its ID`,
		other:                    `there is no key "fl_` + other[3:4] + `…"; `,
		other[:20]:               `there is no key "fl_` + other[3:4] + `…"; `,
		strings.Repeat("Ab", 20): `there is no key "AbAb…"; `,
		"acme-wep":               `there is no key "acme-wep"; did you mean acme-web?`,
		"ACME-WEB":               `there is no key "ACME-WEB"; did you mean acme-web?`,
		"nobody":                 "there is no key \"nobody\"; the list of keys shows those there are",
	} {
		k, err := s.KeyNamed(id)
		if k != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("KeyNamed(%q) = %v, %v, want %q", id, k, err, want)
		}
	}
}
