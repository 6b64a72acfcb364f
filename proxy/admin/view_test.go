package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

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
	g.post(t, predict+botB, "secret-expired-0123456789", "") // refused, too
	testkit.Eventually(t, "last count", func() bool { return g.status(t, "").Totals.Requests == 6 })
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
		{"?keys_by=-id&chatflows_by=-name", "ops old off new key-b key-a", "bot-a 8 0 *"},
		{"?keys_by=-expiry&limit=1&chatflows_by=-requests", "ops", "bot-a"},
		{"?keys_by=-file&chatflows_by=-file", "new off old ops key-b key-a", "* 0 8 bot-a"},
		{"?keys_by=requests&limit=1", "key-a", "bot-a"},
		{"?keys_by=-requests&limit=1", "ops", "bot-a"},
		{"?keys_by=refused&limit=1", "old", "bot-a"},
		{"?keys_by=last_refused&limit=1", "old", "bot-a"},
		{"?chatflows_by=failed&limit=1", "key-a", "*"},
		{"?chatflows_by=streams&limit=1", "key-a", "*"},
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
		"?limit=0": "limit", "?limit=x": "limit", "?limit=-1": "limit", "?keys_by=age": "want one of expiry, file", "?keys_by=--id": "want one of", "?keys_by=-": "want one of", "?chatflows_by=x": "last_call",
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

// TestWhoMayCall: keys that are disabled, expired or not valid yet open nothing now.
func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	none := "  - {id: none, keys: [old, off]}\n  - {id: \"*\", keys: [old, ops]}\n"
	s := newGate(t, strings.Replace(keyFile, "  - {id: \"*\", keys: [ops]}\n", none, 1), nil).status(t, "")
	var got []string
	for _, c := range s.Chatflows {
		got = append(got, fmt.Sprintf("%.4s %d/%d %s", c.ID, c.OpenToCount, c.KeyCount, strings.Join(c.OpenTo, " ")))
	}
	want := []string{"3f1c 1/4 key-a", "8d2b 1/1 key-b", "0000 1/1 key-a", "none 0/2 ", "* 1/2 ops"}
	if !slices.Equal(got, want) || s.ChatflowCounts.EveryOpenTo != 1 {
		t.Errorf("who may call = %q, keys of * %d, want %q, 1", got, s.ChatflowCounts.EveryOpenTo, want)
	}
}

// TestExpiring: the keys that expire soon are named, the first ones first, whatever the view.
func TestExpiring(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString("version: 1\nkeys:\n  - {id: expired, sha256: " + strings.Repeat("ab", 32) + ", not_after: 2020-01-01T00:00:00Z}\n")
	for i := range 7 {
		fmt.Fprintf(&file, "  - {id: in-%d-days, sha256: %064x, not_after: %s}\n", 9-i, i+1, time.Now().AddDate(0, 0, 9-i).UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(&file, "  - {id: in-20-days, sha256: %064x, not_after: %s}\nchatflows:\n  - {id: bot, keys: [in-3-days]}\n", 99, time.Now().AddDate(0, 0, 20).UTC().Format(time.RFC3339))
	s := newGate(t, file.String(), nil).status(t, "?limit=1&filter=nothing&keys_by=-id")
	var got []string
	for _, e := range s.Expiring {
		got = append(got, e.ID)
	}
	if want := []string{"in-3-days", "in-4-days", "in-5-days", "in-6-days", "in-7-days"}; !slices.Equal(got, want) || s.KeyCounts.Expiring != 7 {
		t.Errorf("expiring = %q of %d, want %q of 7", got, s.KeyCounts.Expiring, want)
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
