package edit_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// object is an object of JSON, with names and values in turn.
type object []any

// json writes a value in one of the layouts that people and programs use, with a new choice for each list and object.
func (r layouts) json(v any, indent string) string {
	var parts []string
	brackets := "[]"
	switch v := v.(type) {
	case object:
		brackets = "{}"
		colon := r.one(": ", ":", " : ")
		for i := 0; i < len(v); i += 2 {
			parts = append(parts, r.json(v[i], "")+colon+r.json(v[i+1], indent+"  "))
		}
	case []any:
		for _, item := range v {
			parts = append(parts, r.json(item, indent+"  "))
		}
	default:
		text, _ := json.Marshal(v)
		return string(text)
	}
	if len(parts) == 0 {
		return brackets[:1] + r.one("", " ") + brackets[1:]
	}
	switch begin, end := brackets[:1], brackets[1:]; r.IntN(4) {
	case 0:
		return begin + strings.Join(parts, ",") + end
	case 1:
		return begin + " " + strings.Join(parts, " , ") + " " + end
	case 2:
		return begin + strings.Join(parts, ", ") + end
	default:
		return begin + "\n" + indent + "  " + strings.Join(parts, ",\n"+indent+"  ") + "\n" + indent + end
	}
}

// jsonFile returns a key file and the IDs of its chatflows.
func (r layouts) jsonFile() (data string, chatflows []string) {
	var keys, names, entries []any
	for i := range r.IntN(4) {
		name := fmt.Sprintf("k%d", i)
		names = append(names, name)
		key := object{"sha256", digest(name)}
		if r.IntN(2) == 0 {
			key = append(key, "owner", r.one("a, b]", `"}`, "é\U0001f600", "#"))
		}
		keys = append(keys, append(key, "id", name))
	}
	for i := range 1 + r.IntN(4) {
		id := fmt.Sprint(r.one("c", "m", "x"), i)
		chatflows = append(chatflows, id)
		c := object{"id", id}
		if r.IntN(2) == 0 {
			c = append(c, "name", r.one("été ][", `\"`, "plain", "\u2028\u0085"))
		}
		if len(names) > 0 && r.IntN(3) > 0 {
			c = append(c, "keys", names[:1+r.IntN(len(names))])
		} else {
			c = append(c, "public", true)
		}
		entries = append(entries, c)
	}
	file := object{"version", 1, "chatflows", entries}
	if keys != nil || r.IntN(2) == 0 {
		file = append(file, "keys", append([]any{}, keys...))
	}
	data = r.one("", "\n", " ") + r.json(file, "") + r.one("", "\n", " \n")
	return strings.ReplaceAll(data, "\n", r.one("\n", "\n", "\r\n")), chatflows
}

// TestEditJSONLayouts: an edit of JSON is never refused because of the layout, and adds or removes only what it names.
func TestEditJSONLayouts(t *testing.T) {
	for seed := range layoutsTried() {
		r := layouts{rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // the same files at every run
		data, chatflows := r.jsonFile()
		before, err := keystore.Parse("keys.json", []byte(data))
		if err != nil {
			t.Fatalf("seed %d: %v of\n%s", seed, err, data)
		}
		k := edit.NewKey{ID: "ops", Digest: keystore.DigestOf(secret("new")), Chatflows: append([]string{"new", "*"}[r.IntN(3)%2:], chatflows[r.IntN(len(chatflows)):]...)}
		after, err := edit.AddKey("keys.json", []byte(data), k)
		if err != nil {
			t.Fatalf("seed %d: AddKey to %q = %v, of\n%s", seed, k.Chatflows, err, data)
		}
		checkAdded(t, []byte(data), after, k)
		for _, key := range before.Keys() {
			off, err := edit.DisableKey("keys.json", after, key.ID)
			if err != nil {
				t.Fatalf("seed %d: DisableKey(%q) = %v, of\n%s", seed, key.ID, err, after)
			}
			checkDisabled(t, after, off, key.ID)
			on, err := edit.EnableKey("keys.json", off, key.ID)
			if err != nil || string(on) != string(after) {
				t.Fatalf("seed %d: DisableKey(%q) and EnableKey = %v,\n%s\nwant\n%s", seed, key.ID, err, on, after)
			}
			var opens []string
			for _, c := range before.Chatflows() {
				if c.Lists(key) {
					opens = append(opens, c.ID)
				}
			}
			for name, to := range map[string][]string{"grant": chatflows, "close": opens, "delete": nil} {
				next, err := edits[name].edit("keys.json", after, key.ID, to)
				if err != nil {
					t.Fatalf("seed %d: %s of %q and %q = %v, of\n%s", seed, name, key.ID, to, err, after)
				}
				edits[name].check(t, after, next, key.ID, to)
			}
		}
		if t.Failed() {
			t.Fatalf("at seed %d", seed)
		}
	}
}
