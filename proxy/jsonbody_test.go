package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

type jsonMember struct{ Name, Value string }

// membersByTokens is eachMember as encoding/json reads.
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

// FuzzEachMember: what is found in a body is what encoding/json finds.
func FuzzEachMember(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":{"b":[1,"}",{}]},"c":"\"}{\\"}`, `{"a":1,"a":2}`, `{"\u0061\ud800":null}`, `{"a":1}x`, `[{"a":1}]`, `{"a":1,}`, `{a:1}`, `{"a" : -1.5e+3 , "b":true }`,
		"{\"a\":\"\xff\"}", `{"a":"` + "\x00" + `"}`, ``, `"a"`, `{"a":"\\"}`, `{"":[]}`, `{"a":[[[["]"]]]],"b":0}`, "\ufeff{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got []jsonMember
		err := eachMember(raw, func(name string, value []byte) *Error {
			got = append(got, jsonMember{name, string(value)})
			return nil
		})
		want, ok := membersByTokens(raw)
		if (err == nil) != ok {
			t.Fatalf("eachMember(%q) = %v, encoding/json takes it: %t", raw, err, ok)
		}
		if diff := cmp.Diff(want, got); ok && diff != "" {
			t.Errorf("eachMember(%q): -want +got\n%s", raw, diff)
		}
	})
}

func TestLooksLike(t *testing.T) {
	for _, alike := range [][2]string{{"chatflowid", "ChatflowId"}, {"chatflowid", "chatflow_id"}, {"k", "\u212a"}, {"s", "\u017f"}, {"overrideConfig", "override-config"}, {"σ", "ς"}, {"a", "a"}} {
		if !looksLike(alike[0], alike[1]) {
			t.Errorf("%q does not look like %q", alike[0], alike[1])
		}
	}
	for _, other := range [][2]string{{"chatflowid", "chatflowids"}, {"a", "b"}, {"a", "á"}, {"1", "2"}} {
		if looksLike(other[0], other[1]) {
			t.Errorf("%q looks like %q", other[0], other[1])
		}
	}
}
