package body

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/proxy/route"
)

// FuzzChatflow: an accepted body is one JSON object, and a reader that takes the last of several members, as JavaScript
// does, finds the same ID.
func FuzzChatflow(f *testing.F) {
	for _, s := range []string{
		`{"chatflowid":"a"}`, `{"chatflowid":"a","chatflowid":"b"}`, `{"chatflowId":"a"}`, `{"a":{"chatflowid":"b"},"chatflowid":"a"}`,
		`{"chatflowid":"a"} {}`, `[]`, `{"chatflow\u0069d":"a"}`, `{"__proto__":{},"chatflowid":"a"}`, `{"chatflowid":null}`, "{\"chatflowid\":\"\\ud800\"}",
	} {
		f.Add([]byte(s))
	}
	r := &route.Route{Body: "chatflowid", IsID: func(string) bool { return true }}
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, err := Chatflow(r, "", &Buffered{content: raw})
		if err != nil {
			return
		}
		var m map[string]any
		if jsonErr := json.Unmarshal(raw, &m); jsonErr != nil {
			t.Fatalf("Chatflow(%q) accepts what is not JSON: %v", raw, jsonErr)
		}
		if got, ok := m["chatflowid"].(string); !ok || got != id {
			t.Errorf("Chatflow(%q) = %q, a map has %v", raw, id, m["chatflowid"])
		}
		for k := range m {
			if k != "chatflowid" && strings.EqualFold(k, "chatflowid") {
				t.Errorf("Chatflow(%q) accepts the member %q beside it", raw, k)
			}
		}
	})
}
