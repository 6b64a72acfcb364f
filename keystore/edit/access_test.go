package edit_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// edits are the edits of a key that exists, with some chatflows.
var edits = map[string]struct {
	edit  func(file string, data []byte, id string, chatflows []string) ([]byte, error)
	check func(t *testing.T, before, after []byte, id string, chatflows []string)
}{
	"enable": {
		func(file string, data []byte, id string, _ []string) ([]byte, error) {
			return edit.EnableKey(file, data, id)
		},
		func(t *testing.T, before, after []byte, id string, _ []string) {
			t.Helper()
			want := meaningOfDraft(before)
			for i := range want.keys {
				if want.keys[i].id == id {
					want.keys[i].says = strings.Replace(want.keys[i].says, "disabled true", "disabled false", 1)
				}
			}
			checkMeaning(t, want, before, after)
			checkComments(t, before, after)
		},
	},
	"grant": {edit.GrantKey, func(t *testing.T, before, after []byte, id string, chatflows []string) {
		t.Helper()
		checkEdited(t, granted(meaningOfDraft(before), id, chatflows), before, after)
	}},
	"withdraw": {
		func(file string, data []byte, id string, chatflows []string) ([]byte, error) {
			return edit.WithdrawKey(file, data, id, chatflows, false)
		},
		func(t *testing.T, before, after []byte, id string, chatflows []string) {
			t.Helper()
			checkRemoved(t, withdrawn(meaningOfDraft(before), id, chatflows, false), before, after)
		},
	},
	"close": {
		func(file string, data []byte, id string, chatflows []string) ([]byte, error) {
			return edit.WithdrawKey(file, data, id, chatflows, true)
		},
		func(t *testing.T, before, after []byte, id string, chatflows []string) {
			t.Helper()
			checkRemoved(t, withdrawn(meaningOfDraft(before), id, chatflows, true), before, after)
		},
	},
	"delete": {
		func(file string, data []byte, id string, _ []string) ([]byte, error) {
			return edit.DeleteKey(file, data, id, true)
		},
		func(t *testing.T, before, after []byte, id string, _ []string) {
			t.Helper()
			want := meaningOfDraft(before)
			var all []string
			for _, c := range want.chatflows {
				all = append(all, c.id)
			}
			want = withdrawn(want, id, all, true)
			want.keys = slices.DeleteFunc(want.keys, func(e entry) bool { return e.id == id })
			checkRemoved(t, want, before, after)
		},
	},
}

// granted returns m with the key id in the lists of chatflows.
func granted(m meaning, id string, chatflows []string) meaning {
	for _, c := range slices.Compact(slices.Sorted(slices.Values(chatflows))) {
		i := slices.IndexFunc(m.chatflows, func(e entry) bool { return e.id == c })
		if i < 0 {
			i = len(m.chatflows)
			m.chatflows = append(m.chatflows, entry{c, `name "", public false, upstream "", body {false []}, keys`})
		}
		e := &m.chatflows[i]
		at := strings.LastIndex(e.says, ", keys") + len(", keys")
		ids := append(strings.Fields(e.says[at:]), id)
		slices.Sort(ids)
		e.says = e.says[:at] + " " + strings.Join(slices.Compact(ids), " ")
	}
	return m
}

// withdrawn returns m without the key id in the lists of chatflows. If closes is set, chatflows that list no other key
// are removed.
func withdrawn(m meaning, id string, chatflows []string, closes bool) meaning {
	m.chatflows = slices.DeleteFunc(m.chatflows, func(e entry) bool {
		return closes && slices.Contains(chatflows, e.id) && strings.HasSuffix(e.says, ", keys "+id) && !strings.Contains(e.says, "public true")
	})
	for i := range m.chatflows {
		if e := &m.chatflows[i]; slices.Contains(chatflows, e.id) {
			at := strings.LastIndex(e.says, ", keys") + len(", keys")
			e.says = e.says[:at] + strings.TrimSuffix(strings.Replace(e.says[at:]+" ", " "+id+" ", " ", 1), " ")
		}
	}
	return m
}

// checkRemoved checks that after is before without something, and that no comment on a line of its own is lost.
func checkRemoved(t *testing.T, want meaning, before, after []byte) {
	t.Helper()
	checkMeaning(t, want, before, after)
	checkComments(t, before, after)
	if left := strings.ReplaceAll(strings.TrimSpace(string(after)), " []", ""); !within(left, string(before)) {
		t.Errorf("something is new in\n%s\nfrom\n%s", after, before)
	}
}

// checkComments checks that every comment on a line of its own is in after, in the same order.
func checkComments(t *testing.T, before, after []byte) {
	t.Helper()
	left := after
	for line := range bytes.Lines(before) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("#")) {
			continue
		}
		i := bytes.Index(left, line)
		if i < 0 {
			t.Errorf("the comment %q is lost in\n%s\nfrom\n%s", line, after, before)
			return
		}
		left = left[i+len(line):]
	}
}

// A key cannot be taken from a chatflow that lists no other one, unless the chatflow may be closed.
func TestOnlyKey(t *testing.T) {
	data := []byte("version: 1\nkeys:\n  - {id: a, sha256: " + digest("a") + "}\nchatflows:\n  - {id: x, name: Support, keys: [a]}\n  - {id: y, public: true, keys: [a]}\n")
	for name, attempt := range map[string]func() ([]byte, error){
		"WithdrawKey": func() ([]byte, error) { return edit.WithdrawKey("f", data, "a", []string{"y", "x"}, false) },
		"DeleteKey":   func() ([]byte, error) { return edit.DeleteKey("f", data, "a", false) },
	} {
		got, err := attempt()
		var only *edit.NoKeyError
		if got != nil || !errors.As(err, &only) || !slices.Equal(only.Chatflows, []string{"x"}) || !strings.Contains(err.Error(), `f: key "a" is the only key of Support`) {
			t.Errorf("%s = %q, %v, want an NoKeyError of x", name, got, err)
		}
	}
}

func TestEditChatflow(t *testing.T) {
	yaml := "# Mine.\nversion: 1\nkeys:\n  - id: a\n    sha256: " + digest("a") + "\nchatflows:\n  - id: x # one\n    keys: [a]\n"
	json := `{"version": 1, "keys": [{"id": "a", "sha256": "` + digest("a") + `"}], "chatflows": [{"id": "x", "keys": ["a"]}]}`
	add := func(c edit.NewChatflow) func(string, []byte) ([]byte, error) {
		return func(file string, data []byte) ([]byte, error) {
			return edit.Add(file, data, edit.Additions{Chatflows: []edit.NewChatflow{c}})
		}
	}
	for _, tt := range []struct {
		name             string
		edit             func(file string, data []byte) ([]byte, error)
		wantYAML, wantJS string // what is added to chatflow x, or after it
	}{
		{"add", add(edit.NewChatflow{ID: "y", Name: "Zoë's \"bot\"", Keys: []string{"a"}, Forward: true}), "    keys: [a]\n  - id: y\n    name: \"Zoë's \\\"bot\\\"\"\n    keys: [a]\n    upstream_authorization: forward\n", `["a"]}, {"id": "y", "name": "Zoë's \"bot\"", "keys": ["a"], "upstream_authorization": "forward"}]}`},
		{"add a public one", add(edit.NewChatflow{ID: "y", Public: true}), "    keys: [a]\n  - id: y\n    public: true\n", `["a"]}, {"id": "y", "public": true}]}`},
		{"name", func(file string, data []byte) ([]byte, error) { return edit.NameChatflow(file, data, "x", "Support") }, "    name: \"Support\"\n    keys: [a]\n", `["a"], "name": "Support"}]}`},
		{"publish", func(file string, data []byte) ([]byte, error) { return edit.PublishChatflow(file, data, "x") }, "    public: true\n    keys: [a]\n", `["a"], "public": true}]}`},
		{"publish and take back", func(file string, data []byte) ([]byte, error) {
			data, err := edit.PublishChatflow(file, data, "x")
			if err != nil {
				return nil, err
			}
			return edit.UnpublishChatflow(file, data, "x", false)
		}, "    keys: [a]\n", `["a"]}]}`},
		{"add a public one and close it", func(file string, data []byte) ([]byte, error) {
			data, err := edit.Add(file, data, edit.Additions{Chatflows: []edit.NewChatflow{{ID: "y", Name: "limited", Public: true}}})
			if err != nil {
				return nil, err
			}
			if got, err := edit.UnpublishChatflow(file, data, "y", false); got != nil || !errors.As(err, new(*edit.NoKeyError)) || !strings.Contains(err.Error(), "no key is listed for limited") {
				t.Errorf("UnpublishChatflow of one without a key = %s, %v, want a NoKeyError", got, err)
			}
			return edit.UnpublishChatflow(file, data, "y", true)
		}, "    keys: [a]\n", `["a"]}]}`},
		{"close one that has a key", func(file string, data []byte) ([]byte, error) {
			data, err := edit.PublishChatflow(file, data, "x")
			if err != nil {
				return nil, err
			}
			return edit.UnpublishChatflow(file, data, "x", true)
		}, "    keys: [a]\n", `["a"]}]}`},
	} {
		got, err := tt.edit("keys.yaml", []byte(yaml))
		if want := strings.TrimSuffix(yaml, "    keys: [a]\n") + tt.wantYAML; err != nil || string(got) != want {
			t.Errorf("%s = %v, %s, want %s", tt.name, err, got, want)
		}
		got, err = tt.edit("keys.json", []byte(json))
		if want := strings.TrimSuffix(json, `["a"]}]}`) + tt.wantJS; err != nil || string(got) != want {
			t.Errorf("%s in JSON = %v, %s, want %s", tt.name, err, got, want)
		}
	}
	for want, attempt := range map[string]func(string, []byte) ([]byte, error){
		`f:7: chatflow "x" is listed already`:         add(edit.NewChatflow{ID: "x", Keys: []string{"a"}}),
		`f: there is no key "b"`:                      add(edit.NewChatflow{ID: "y", Keys: []string{"b"}}),
		`has neither`:                                 add(edit.NewChatflow{ID: "y"}),
		`cannot be public`:                            add(edit.NewChatflow{ID: "*", Public: true}),
		`name: it has a line break`:                   func(f string, d []byte) ([]byte, error) { return edit.NameChatflow(f, d, "x", "\x1b[2J") },
		`name: it has 201 characters`:                 add(edit.NewChatflow{ID: "y", Public: true, Name: strings.Repeat("é", 201)}),
		`chatflow ID "y z": want`:                     add(edit.NewChatflow{ID: "y z", Public: true}),
		`no chatflow "xx" is listed; did you mean x?`: func(f string, d []byte) ([]byte, error) { return edit.NameChatflow(f, d, "xx", "n") },
		`no chatflow "nothing" is listed`:             func(f string, d []byte) ([]byte, error) { return edit.PublishChatflow(f, d, "nothing") },
	} {
		if got, err := attempt("f", []byte(yaml)); got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("= %s, %v, want %q", got, err, want)
		}
	}
}

// A new key has every field that it was given.
func TestAddKeyFields(t *testing.T) {
	limits, err := keystore.ParseLimits("requests: [10/1s, 600/1h, 10000/month], concurrent: 4, stream: 10m, stream_seconds: 36000/month, bytes: [2GiB/month, 1/day], enforce: false")
	if err != nil {
		t.Fatal(err)
	}
	k := edit.NewKey{ID: "a", Digest: keystore.DigestOf(secret("a")), Owner: `Zoë "Z", 日本: # \ Inc.`, Limits: limits, Chatflows: []string{"x"}}
	for _, file := range []string{"keys.yaml", "keys.json"} {
		got, err := edit.AddKey(file, nil, k)
		if err != nil {
			t.Fatal(err)
		}
		checkMeaning(t, meaningOfDraft(got), nil, got)
		honey, err := edit.AddKey(file, got, edit.NewKey{ID: "trap", Digest: keystore.DigestOf(secret("trap")), Honey: true})
		if err != nil {
			t.Fatal(err)
		}
		s, err := keystore.Parse(file, honey)
		if err != nil || s.Key("a").Owner != k.Owner || s.Key("a").Limits.String() != limits.String() || !s.Key("trap").Honey || len(s.Warnings) > 0 {
			t.Errorf("%s = %v, %v\n%s", file, err, s, honey)
		}
	}
	for _, owner := range []string{"a\nb", "\x1b[31m", "\u202ebot", strings.Repeat("é", 201), "\xff"} {
		if got, err := edit.AddKey("f", nil, edit.NewKey{ID: "a", Digest: keystore.DigestOf(secret("a")), Owner: owner, Chatflows: []string{"x"}}); got != nil || err == nil {
			t.Errorf("AddKey with owner %q = %s, want an error", owner, got)
		}
	}
}

// An edit is made on the version that somebody has seen, or not at all.
func TestVersion(t *testing.T) {
	path := t.TempDir() + "/keys.yaml"
	first, err := edit.File(path, edit.Options{Version: edit.Version(nil)}, to("one"))
	if err != nil || string(first) != "one" {
		t.Fatalf("File = %q, %v, want one", first, err)
	}
	var conflict *edit.ConflictError
	if got, err := edit.File(path, edit.Options{Version: edit.Version(nil)}, to("two")); got != nil || !errors.As(err, &conflict) || conflict.Have != edit.Version(first) || contentOf(t, path) != "one" {
		t.Errorf("File on an older version = %q, %v, want a ConflictError and the file as it was", got, err)
	}
	if got, err := edit.File(path, edit.Options{Version: edit.Version(first)}, to("two")); err != nil || string(got) != "two" || contentOf(t, path) != "two" {
		t.Errorf("File on its version = %q, %v, want two", got, err)
	}
}
