package proxy

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/keystore"
)

func TestParseBearer(t *testing.T) {
	tests := map[string]bearer{
		"Bearer abc":            {token: "abc", present: true},
		"bearer abc":            {token: "abc", present: true},
		"BEARER abc":            {token: "abc", present: true},
		"Bearer   abc":          {token: "abc", present: true},
		"Bearer a-._~+/b==":     {token: "a-._~+/b==", present: true},
		"Bearer":                {present: true},
		"Bearer ":               {present: true},
		"Bearer =":              {present: true},
		"Bearer a b":            {present: true},
		"Bearer a, Bearer b":    {present: true},
		"Bearer a\tb":           {present: true},
		"Bearer \u00e4":         {present: true},
		"Bearer a=b":            {present: true},
		"Bearer\tabc":           {},
		"BearerX":               {},
		"Bearer:abc":            {},
		"Basic YTpi":            {},
		"Basic x Bearer abc":    {}, // Flowise would take what follows "Bearer "
		"abc":                   {},
		"":                      {},
		`Bearer token="abc"`:    {present: true},
		"Bearer \u212aabc":      {present: true},
		"Bearer abc\u00a0":      {present: true},
		"Bearer abc;realm=\"\"": {present: true},
	}
	for value, want := range tests {
		if got, err := parseBearer(http.Header{"Authorization": {value}}); got != want || err != nil {
			t.Errorf("parseBearer(%q) = %+v, %v, want %+v", value, got, err, want)
		}
	}
	if _, err := parseBearer(http.Header{"Authorization": {"Bearer a", "Bearer a"}}); err == nil || err.Code != CodeBadRequest {
		t.Errorf("parseBearer of two headers = %v, want bad_request", err)
	}
	if got, err := parseBearer(http.Header{}); got != (bearer{}) || err != nil {
		t.Errorf("parseBearer of none = %+v, %v, want nothing", got, err)
	}
}

// FuzzParseBearer: a token comes out only if the header is the scheme, spaces and that token.
func FuzzParseBearer(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer  abc", "Bearer a b", "Basic x", "Bearer ", "Bearer ====", "BearerX"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		b, err := parseBearer(http.Header{"Authorization": {value}})
		if err != nil {
			t.Fatalf("parseBearer(%q) = %v; one header is never an error", value, err)
		}
		if b.token == "" {
			return
		}
		scheme, rest, _ := strings.Cut(value, " ")
		if !b.present || !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != b.token || !keystore.IsToken(b.token) {
			t.Errorf("parseBearer(%q) = %+v", value, b)
		}
	})
}

// FuzzMemberOf: an accepted body is one JSON object, and a reader that takes the last of several
// members, as JavaScript's does, finds the same ID.
func FuzzMemberOf(f *testing.F) {
	for _, s := range []string{
		`{"chatflowid":"a"}`, `{"chatflowid":"a","chatflowid":"b"}`, `{"chatflowId":"a"}`, `{"a":{"chatflowid":"b"},"chatflowid":"a"}`,
		`{"chatflowid":"a"} {}`, `[]`, `{"chatflow\u0069d":"a"}`, `{"__proto__":{},"chatflowid":"a"}`, `{"chatflowid":null}`, "{\"chatflowid\":\"\\ud800\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, err := memberOf(raw, "chatflowid")
		if err != nil {
			return
		}
		var m map[string]any
		if jsonErr := json.Unmarshal(raw, &m); jsonErr != nil {
			t.Fatalf("memberOf(%q) accepts what is not JSON: %v", raw, jsonErr)
		}
		if got, ok := m["chatflowid"].(string); !ok || got != id {
			t.Errorf("memberOf(%q) = %q, a map has %v", raw, id, m["chatflowid"])
		}
		for k := range m {
			if k != "chatflowid" && strings.EqualFold(k, "chatflowid") {
				t.Errorf("memberOf(%q) accepts the member %q beside it", raw, k)
			}
		}
	})
}
