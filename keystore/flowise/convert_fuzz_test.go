package flowise

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

// FuzzConvert uses arbitrary names and IDs. The file must be valid and list only the chatflows that it should, each with
// the key that Flowise has for it, and with a label that no other has.
func FuzzConvert(f *testing.F) {
	f.Add("Support bot", "Support bot", nth(1), "Web", "k1", "RlRkXSExxCmVwWKPoiwYU0pyKtdYTYFcRU7pdzf5yBQ", false)
	f.Add("a\"\nchatflows:\n  - id: \"*\"\n    public: true\n#", "\u2028- x", "*", "null\n- id: y", "", "", true)
	f.Add("\\", "%s", nth(2)+"\n", "~", "k2", "short", true)
	f.Add(nth(2), "key", strings.ToUpper(nth(10)), "-", "k", "RlRkXSExxCmVwWKPoiwYU0pyKtdYTYFcRU7pdzf5yBQ ", false)
	f.Add("\x00\xff\u0085", "…", "x", "@", "\x00", "\n", true)
	f.Fuzz(func(t *testing.T, name, name2, id, keyName, keyID, secret string, public bool) {
		source := &Installation{
			URL: "http://127.0.0.1/" + name, Version: name2,
			Chatflows: []Chatflow{
				{nth(1), name, keyID},
				{nth(2), name2, "k2"},
				{nth(3), name, ""},
				{nth(4), name + "\n", "k1"},
				{id, name2, keyID},
				{nth(5), name2 + " (2)", keyName},
				{nth(6), "", "k1"},
				{nth(7), nth(6), "k2"},
			},
			Keys: []Key{
				{keyID, keyName, secret}, {"k1", keyName + "-2", secret + "1"}, {"k2", keyName, secret + "2"}, {"k3", name, secret},
			},
		}
		c, err := Convert(source, "keys.yaml", public)
		if err != nil && !errors.Is(err, ErrNothingOpen) {
			t.Fatalf("Convert() = %v, want no error\n%s", err, c.Text)
		}
		if err := c.Report(io.Discard); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		for _, r := range string(c.Text) {
			if r != '\n' && printable("x"+string(r)+"x") == "x x" && r != ' ' {
				t.Fatalf("Convert() wrote %q", r)
			}
		}
		snapshot, err := keystore.Parse("keys.yaml", c.Text)
		if err != nil {
			t.Fatalf("Parse(Convert()) = %v, want no error\n%s", err, c.Text)
		}
		checkRelation(t, source, snapshot, public)
		if bytes.Count(c.Text, []byte("public: true\n")) < 1 && public && !bytes.Contains(c.Text, []byte(nth(3))) {
			t.Errorf("Convert() does not mention a chatflow without a key")
		}
	})
}

// checkRelation compares the key file with what Flowise would do, which it derives anew from the source.
func checkRelation(t *testing.T, source *Installation, snapshot *keystore.Snapshot, public bool) {
	t.Helper()
	secretOf := map[string]string{}
	seenKey := map[string]bool{}
	for _, name := range sorted(source.Keys, func(k Key) []string { return []string{k.Name, k.ID} }) {
		if !seenKey[name.ID] && name.Secret != "" {
			seenKey[name.ID], secretOf[name.ID] = true, name.Secret
		}
	}
	known, seen, labels := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range sorted(source.Chatflows, func(f Chatflow) []string { return []string{f.Name, f.ID} }) {
		if seen[f.ID] {
			continue
		}
		seen[f.ID] = true
		entry, listed := snapshot.Chatflow(f.ID)
		secret, has := secretOf[f.KeyID]
		switch {
		case !callable.MatchString(f.ID):
			if listed {
				t.Errorf("chatflow %q is listed, want it in a comment", f.ID)
			}
			continue
		case f.KeyID == "":
			if listed != public || listed && (!entry.Public || len(entry.Keys()) > 0) {
				t.Errorf("chatflow %q without a key is listed: %t, want %t and public", f.ID, listed, public)
			}
		case !has:
			if listed {
				t.Errorf("chatflow %q of a key that is gone is listed, want it closed", f.ID)
			}
		case !listed || entry.Public || len(entry.Keys()) != 1 || entry.Keys()[0].Secrets()[0].Digest != keystore.DigestOf(secret):
			t.Errorf("chatflow %q is %+v, want it open to the key %q", f.ID, entry, secret)
		}
		if listed {
			known[f.ID] = true
			if labels[entry.Label()] {
				t.Errorf("two chatflows have the label %q", entry.Label())
			}
			labels[entry.Label()] = true
		}
	}
	if len(snapshot.Chatflows()) != len(known) {
		t.Errorf("the key file lists %d chatflows, want %d", len(snapshot.Chatflows()), len(known))
	}
}
