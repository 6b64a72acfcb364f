package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/proxy/admin"
)

// keyIDs returns the IDs of the keys of a status.
func keyIDs(s admin.Status) string {
	var ids []string
	for _, k := range s.Keys {
		ids = append(ids, k.ID)
	}
	return strings.Join(ids, " ")
}

// chatflowNames returns the names of the chatflows of a status, or the first characters of their IDs.
func chatflowNames(s admin.Status) string {
	var names []string
	for _, c := range s.Chatflows {
		name := c.Name
		if name == "" {
			name = c.ID[:1]
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// TestStatusView asks for parts of the status. The counts are those of all keys and chatflows, whatever is asked for.
func TestStatusView(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	for range 3 {
		g.post(t, predict+botB, "", "") // refused
	}
	for range 2 {
		g.post(t, predict+botC, secretA, "")
	}
	testkit.Eventually(t, "last count", func() bool { return g.status(t, "").Totals.Requests == 5 })
	for _, tt := range []struct{ query, keys, chatflows string }{
		{"", "key-a key-b ops old off new", "bot-a 8 0 *"},
		{"?unknown=1", "key-a key-b ops old off new", "bot-a 8 0 *"},
		{"?limit=2", "key-a key-b", "bot-a 8"},
		{"?limit=2&keys_by=id&chatflows_by=name", "key-a key-b", "* 0"},
		{"?keys_by=id&chatflows_by=name", "key-a key-b new off old ops", "* 0 8 bot-a"},
		{"?keys_by=expiry", "old key-a key-b new off ops", "bot-a 8 0 *"},
		{"?keys_by=last_used&chatflows_by=requests", "key-a key-b new off old ops", "8 0 * bot-a"},
		{"?limit=1&keys_by=last_used&chatflows_by=refused", "key-a", "8"},
		{"?chatflows_by=last_refused&limit=1", "key-a", "8"},
		{"?chatflows_by=last_call&limit=2", "key-a key-b", "0 8"},
		{"?filter=KEY-A", "key-a", "bot-a 0"},
		{"?filter=bot", "", "bot-a"},
		{"?filter=" + botB[:8], "", "8"},
		{"?filter=nothing", "", ""},
	} {
		s := g.status(t, tt.query)
		if keyIDs(s) != tt.keys || chatflowNames(s) != tt.chatflows {
			t.Errorf("status%s = keys %q, chatflows %q, want %q, %q", tt.query, keyIDs(s), chatflowNames(s), tt.keys, tt.chatflows)
		}
		if s.KeyCounts.Total != 6 || s.KeyCounts.Valid != 3 || s.KeyCounts.Expired != 1 || s.KeyCounts.Disabled != 1 || s.KeyCounts.NotYetValid != 1 || s.ChatflowCounts.Total != 4 || !s.ChatflowCounts.Every {
			t.Errorf("status%s = counts %+v %+v, want those of all", tt.query, s.KeyCounts, s.ChatflowCounts)
		}
	}
	for query, want := range map[string]string{
		"?limit=0": "limit", "?limit=x": "limit", "?limit=-1": "limit", "?keys_by=age": "last_used, last_refused, expiry", "?chatflows_by=x": "last_call",
		"?filter=" + strings.Repeat("x", 201): "at most 200",
	} {
		if w := g.ask("GET", "/status"+query, "localhost"); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("status%s = %d %s, want 400 and %q", query, w.Code, w.Body, want)
		}
	}
}

// TestStatusViewOfMany asks for parts of a large status: they are as short as was asked for.
func TestStatusViewOfMany(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString("version: 1\nkeys:\n")
	for i := range 5000 {
		fmt.Fprintf(&file, "  - {id: key-%05d, sha256: %064x, not_after: 21%02d-01-01T00:00:00Z}\n", i, i+1, 99-i/100)
	}
	file.WriteString("chatflows:\n")
	for i := range 1000 {
		fmt.Fprintf(&file, "  - {id: %08x-0000-4000-8000-000000000000, keys: [key-%05d]}\n", i, i)
	}
	file.WriteString("  - {id: all, keys: [")
	for i := range 5000 {
		fmt.Fprintf(&file, "key-%05d, ", i)
	}
	file.WriteString("]}\n")
	g := newGate(t, file.String(), nil)
	w := g.ask("GET", "/status?limit=50&keys_by=expiry&chatflows_by=name&filter=04999", "localhost")
	if w.Body.Len() > 20_000 {
		t.Errorf("a part of the status has %d bytes, want at most 20000", w.Body.Len())
	}
	s := g.status(t, "?limit=50&keys_by=expiry&chatflows_by=name")
	if len(s.Keys) != 50 || s.Keys[0].ID != "key-04900" || s.Keys[49].ID != "key-04949" || len(s.Chatflows) != 50 || s.KeyCounts.Matching != 5000 || s.ChatflowCounts.Matching != 1001 {
		t.Errorf("status = %d keys from %s to %s, %d chatflows; %+v %+v, want the 50 that expire first", len(s.Keys), s.Keys[0].ID, s.Keys[len(s.Keys)-1].ID, len(s.Chatflows), s.KeyCounts, s.ChatflowCounts)
	}
	s = g.status(t, "?limit=50&filter=04999")
	if len(s.Chatflows) != 1 || s.Chatflows[0].KeyCount != 5000 || len(s.Chatflows[0].Keys) != 20 || s.Chatflows[0].Keys[0] != "key-04999" {
		t.Errorf("chatflows with key-04999 = %+v, want one, and of its 5000 keys 20, that one first", s.Chatflows)
	}
	if all := g.status(t, ""); len(all.Keys) != 5000 || len(all.Chatflows) != 1001 || len(all.Chatflows[1000].Keys) != 5000 {
		t.Errorf("the whole status = %d keys and %d chatflows, want all", len(all.Keys), len(all.Chatflows))
	}
}

// TestStatusViewOfNobody asks for a part of the status and leaves before its turn: no work is done for it.
func TestStatusViewOfNobody(t *testing.T) {
	t.Parallel()
	g := newGate(t, keyFile, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "http://localhost/status?limit=1", http.NoBody))
	if w.Body.Len() > 0 {
		t.Errorf("response to nobody = %s, want none", w.Body)
	}
}
