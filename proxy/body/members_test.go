package body

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/flowlatch/flowlatch/proxy/problem"
)

type jsonMember struct{ Name, Value string }

// membersByTokens is eachMember written with encoding/json.
func membersByTokens(raw []byte) (members []jsonMember, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') || !utf8.Valid(raw) {
		return nil, false
	}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return nil, false
		}
		members = append(members, jsonMember{name.(string), string(value)})
	}
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	_, err := d.Token()
	return members, errors.Is(err, io.EOF)
}

// FuzzEachMember: whatever is accepted is also accepted by encoding/json, with the same members, each of which occurs
// once.
func FuzzEachMember(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":{"b":[1,"}",{}]},"c":"\"}{\\"}`, `{"a":1,"a":2}`, `{"\u0061\ud800":null}`, `{"a":1}x`, `[{"a":1}]`, `{"a":1,}`, `{a:1}`, `{"a" : -1.5e+3 , "b":true }`,
		"{\"a\":\"\xff\"}", `{"a":"` + "\x00" + `"}`, ``, `"a"`, `{"a":"\\"}`, `{"":[]}`, `{"a":[[[["]"]]]],"b":0}`, "\ufeff{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got []jsonMember
		err := eachMember(raw, func(name string, value jsontext.Value) *problem.Error {
			got = append(got, jsonMember{name, string(value)})
			return nil
		})
		if err != nil {
			return
		}
		want, ok := membersByTokens(raw)
		if !ok {
			t.Fatalf("eachMember(%q) accepts what encoding/json refuses", raw)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("eachMember(%q): -want +got\n%s", raw, diff)
		}
		names := map[string]bool{}
		for _, m := range got {
			if names[m.Name] {
				t.Errorf("eachMember(%q) accepts %q twice", raw, m.Name)
			}
			names[m.Name] = true
		}
	})
}

// TestEachMember has bodies that must be accepted, and bodies that two readers could understand differently.
func TestEachMember(t *testing.T) {
	t.Parallel()
	for want, bodies := range map[bool][]string{
		true: {`{}`, " {\t}\r\n", `{"a":{"b":[1,"}",{}]},"c":"\"}{\\"}`, `{"\u0061":null}`, `{"a":[{"b":1},{"b":2}]}`},
		false: {
			`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":1,"b":2}}`, `{"a":1}x`, `{"a":1}{}`, `[{"a":1}]`, `{"a":1,}`,
			`{a:1}`, "{\"a\":\"\xff\"}", `{"\ud800":1}`, "\ufeff{}", ``, `"a"`, `null`, `{"a":1`,
		},
	} {
		for _, raw := range bodies {
			if err := eachMember([]byte(raw), func(string, jsontext.Value) *problem.Error { return nil }); (err == nil) != want {
				t.Errorf("eachMember(%q) = %v, want it accepted: %t", raw, err, want)
			}
		}
	}
}

func TestBareName(t *testing.T) {
	t.Parallel()
	for _, alike := range [][2]string{{"chatflowid", "ChatflowId"}, {"chatflowid", "chatflow_id"}, {"k", "\u212a"}, {"s", "\u017f"}, {"overrideConfig", "override-config"}, {"σ", "ς"}, {"a", "a"}} {
		if bareName(alike[0]) != bareName(alike[1]) {
			t.Errorf("%q does not look like %q", alike[0], alike[1])
		}
	}
	for _, other := range [][2]string{{"chatflowid", "chatflowids"}, {"a", "b"}, {"a", "á"}, {"1", "2"}} {
		if bareName(other[0]) == bareName(other[1]) {
			t.Errorf("%q looks like %q", other[0], other[1])
		}
	}
}
